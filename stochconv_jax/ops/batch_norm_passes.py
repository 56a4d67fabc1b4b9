"""The passes over positions that BatchNorm with its activation, and its gradient, are made of.

They take x as [G, R, C]: R rows for each of G images, or all rows as one. The channels' values are
`channels` [3, C], mean, slope and bias; with centred = x - mean,

    z = centred * slope + bias,  y = f(z)

for an activation f. An image's channels may be gated: `gates` is [G, 0, C] where they are not, else
[G, 1, C], with the gates that y is multiplied by, or [G, 2, C], with what is added to the
cotangents of all of an image's y as well. Each pass is one operation in C++ on the CPU, where the
installation could build it and all are float32; else it is what is written here.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from stochconv_jax.ops.activation import Activation, activate, derivative
from stochconv_jax.ops.method import run_form
from stochconv_jax.ops.native import native_batch_norm_pass, native_forms
from stochconv_jax.ops.varying import vary_alike


def power_sums(x: jax.Array) -> jax.Array:
    """Returns the sums of x and of x^2 over rows, [G, 2, C], in float32 or wider."""
    return _run("power_sums", (x.shape[0], 2, x.shape[2]), _power_sums, x)


def activated(
    x: jax.Array, channels: jax.Array, gates: jax.Array, activation: Activation
) -> jax.Array:
    """Returns y, or y times its gate, like x."""
    operands = x, channels, gates
    return _run("activated", x.shape, _activated, *operands, activation=activation)


def activated_sums(x: jax.Array, channels: jax.Array, activation: Activation) -> jax.Array:
    """Returns the sums of y over rows, [G, 1, C], in float32 or wider."""
    shape, operands = (x.shape[0], 1, x.shape[2]), (x, channels, no_gates(x))
    return _run("activated_sums", shape, _activated_sums, *operands, activation=activation)


def gradient_sums(
    x: jax.Array,
    channels: jax.Array,
    gates: jax.Array,
    cotangent: jax.Array,
    activation: Activation,
) -> jax.Array:
    """Returns sums over rows that the gradient is made of, in float32 or wider.

    Without gates [G, 2, C]: those of cotangent * f'(z) and of cotangent * f'(z) * centred.
    With gates [G, 5, C]: those, those with 1 in the cotangent's place, and cotangent * y.
    """
    shape = (x.shape[0], 5 if gates.shape[1] else 2, x.shape[2])
    operands = x, channels, gates, cotangent
    return _run("gradient_sums", shape, _gradient_sums, *operands, activation=activation)


def input_gradient(
    x: jax.Array,
    channels: jax.Array,
    gates: jax.Array,
    cotangent: jax.Array,
    activation: Activation,
) -> jax.Array:
    """Returns (dy * f'(z) - mean_outer) * slope + centred * tilt, like x.

    dy is the cotangent, or with gates cotangent * gate + added. `channels` are [5, C], with
    mean_outer and tilt behind the others.
    """
    operands = x, channels, gates, cotangent
    return _run("input_gradient", x.shape, _input_gradient, *operands, activation=activation)


def no_gates(x: jax.Array) -> jax.Array:
    """Returns the gates of x where there are none, [G, 0, C]."""
    return jnp.zeros((x.shape[0], 0, x.shape[2]), sum_dtype(x))


def sum_dtype(x: jax.Array) -> jnp.dtype:
    """Returns what sums over x are made in: float32, or the dtype of x if it is wider."""
    return jnp.promote_types(x.dtype, jnp.float32)


def _run(
    name: str,
    shape: tuple[int, ...],
    plain: Callable[..., jax.Array],
    *operands: jax.Array,
    **activation: Activation,
) -> jax.Array:
    operands = vary_alike(*operands)
    plain = functools.partial(plain, **activation)
    if native_forms() and all(operand.dtype == jnp.float32 for operand in operands):
        native = functools.partial(native_batch_norm_pass, name, shape, **activation)
        return run_form("auto", native, plain, *operands)
    return plain(*operands)


def _power_sums(x: jax.Array) -> jax.Array:
    return _sums(x.astype(sum_dtype(x)), jnp.square(x.astype(sum_dtype(x))))


def _activated(
    x: jax.Array, channels: jax.Array, gates: jax.Array, activation: Activation
) -> jax.Array:
    _, z = _normalised(x, channels)
    y = activate(z, activation)
    return (y * gates[:, :1] if gates.shape[1] else y).astype(x.dtype)


def _activated_sums(
    x: jax.Array, channels: jax.Array, gates: jax.Array, activation: Activation
) -> jax.Array:
    del gates
    _, z = _normalised(x, channels)
    return _sums(activate(z, activation))


def _gradient_sums(
    x: jax.Array,
    channels: jax.Array,
    gates: jax.Array,
    cotangent: jax.Array,
    activation: Activation,
) -> jax.Array:
    centred, z = _normalised(x, channels)
    slope, cotangent = derivative(z, activation), cotangent.astype(z.dtype)
    outer = cotangent * slope
    if not gates.shape[1]:
        return _sums(outer, outer * centred)
    y = activate(z, activation)
    return _sums(outer, outer * centred, slope, slope * centred, cotangent * y)


def _input_gradient(
    x: jax.Array,
    channels: jax.Array,
    gates: jax.Array,
    cotangent: jax.Array,
    activation: Activation,
) -> jax.Array:
    centred, z = _normalised(x, channels)
    _, slope, _, mean_outer, tilt = channels
    outer = cotangent.astype(z.dtype)
    if gates.shape[1]:
        outer = outer * gates[:, :1] + gates[:, 1:]
    outer *= derivative(z, activation)
    return ((outer - mean_outer) * slope + centred * tilt).astype(x.dtype)


def _normalised(x: jax.Array, channels: jax.Array) -> tuple[jax.Array, jax.Array]:
    mean, slope, bias = channels[:3]
    centred = x.astype(sum_dtype(x)) - mean
    return centred, centred * slope + bias


def _sums(*terms: jax.Array) -> jax.Array:
    return jnp.stack([term.sum(axis=1) for term in terms], axis=1)
