"""Normalisation by the statistics of a batch, which reads its input as seldom as can be."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from stochconv_jax.ops.activation import Activation, activate, derivative
from stochconv_jax.ops.method import run_form
from stochconv_jax.ops.native import (
    native_forms,
    native_gradient_sums,
    native_input_gradient,
    native_normalise,
    native_sums,
)
from stochconv_jax.ops.varying import vary_alike


def batch_norm(
    x: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    epsilon: float,
    axis_name: str | None = None,
    activation: Activation = "none",
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalises every channel by its mean and variance over all other axes, and activates it.

    y = f((x - mean) / sqrt(variance + epsilon) * scale + bias), variance = E[x^2] - mean^2

    The same numbers as Flax's BatchNorm in training and the activation after it. Only x is kept for
    the gradient, which makes the activation's derivative again. On the CPU all is done in four
    passes over positions, in C++ where the installation could build it: the sums, y, the gradient's
    sums, and the gradient in x. Differentiable in reverse mode in x, scale and bias.

    Args:
      x: [..., C], float.
      scale: [C].
      bias: [C], like scale.
      epsilon: added to the variance.
      axis_name: of the mesh over which the statistics are averaged, inside `shard_map`.
      activation: f.

    Returns:
      y [..., C] in the dtype of x, and mean and variance [C], in float32 or in the dtype of x if it
      is wider, which have no gradient.

    Source: Ioffe and Szegedy 2015.
    """
    x, scale, bias = vary_alike(x, scale, bias)
    rows = x.reshape(-1, x.shape[-1])
    y, mean, variance = _normalise(epsilon, axis_name, activation, rows, scale, bias)
    return y.reshape(x.shape), mean, variance


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _normalise(
    epsilon: float,
    axis_name: str | None,
    activation: Activation,
    x: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    return _forward(epsilon, axis_name, activation, x, scale, bias)[0]


def _forward(
    epsilon: float,
    axis_name: str | None,
    activation: Activation,
    x: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], tuple[jax.Array, ...]]:
    mean, square = _mean(_run(native_sums, _sums, x) / x.shape[0], axis_name)
    # Rounding may leave less than nothing.
    variance = jnp.maximum(square - mean**2, 0)
    inverse = lax.rsqrt(variance + epsilon)
    channels = jnp.stack([mean, scale * inverse, bias.astype(mean.dtype)])
    y = _run(native_normalise, _activated, x, channels, activation=activation)
    return (y, mean, variance), (x, channels, inverse)


def _backward(
    epsilon: float,
    axis_name: str | None,
    activation: Activation,
    residuals: tuple[jax.Array, ...],
    cotangents: tuple[jax.Array, jax.Array, jax.Array],
) -> tuple[jax.Array, jax.Array, jax.Array]:
    del epsilon
    x, channels, inverse = residuals
    operands = x, cotangents[0]
    bias_gradient, product = sums = _run(
        native_gradient_sums, _gradient_sums, *operands, channels, activation=activation
    )
    mean_outer, mean_product = _mean(sums / x.shape[0], axis_name)
    tilt = -channels[1] * inverse**2 * mean_product
    channels = jnp.concatenate([channels, jnp.stack([mean_outer, tilt])])
    x_gradient = _run(
        native_input_gradient, _input_gradient, *operands, channels, activation=activation
    )
    return x_gradient, product * inverse, bias_gradient


_normalise.defvjp(_forward, _backward)


def _mean(values: jax.Array, axis_name: str | None) -> jax.Array:
    """Returns the values averaged over an axis of the mesh."""
    return values if axis_name is None else lax.pmean(values, axis_name)


def _run(
    native: Callable[..., jax.Array],
    plain: Callable[..., jax.Array],
    *operands: jax.Array,
    **activation: Activation,
) -> jax.Array:
    """Calls the form in C++ where it can be, else the one in JAX, which says what it does."""
    operands = vary_alike(*operands)
    native, plain = (functools.partial(form, **activation) for form in (native, plain))
    if native_forms() and all(operand.dtype == jnp.float32 for operand in operands):
        return run_form("auto", native, plain, *operands)
    return plain(*operands)


def _sums(x: jax.Array) -> jax.Array:
    x = x.astype(_sum_dtype(x))
    return jnp.stack([x.sum(axis=0), (x * x).sum(axis=0)])


def _activated(x: jax.Array, channels: jax.Array, activation: Activation) -> jax.Array:
    _, z = _normalised(x, channels)
    return activate(z, activation).astype(x.dtype)


def _gradient_sums(
    x: jax.Array, cotangent: jax.Array, channels: jax.Array, activation: Activation
) -> jax.Array:
    centred, z = _normalised(x, channels)
    outer = cotangent.astype(z.dtype) * derivative(z, activation)
    return jnp.stack([outer.sum(axis=0), (outer * centred).sum(axis=0)])


def _input_gradient(
    x: jax.Array, cotangent: jax.Array, channels: jax.Array, activation: Activation
) -> jax.Array:
    centred, z = _normalised(x, channels)
    _, slope, _, mean_outer, tilt = channels
    outer = cotangent.astype(z.dtype) * derivative(z, activation)
    return ((outer - mean_outer) * slope + centred * tilt).astype(x.dtype)


def _normalised(x: jax.Array, channels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns x - mean and what is activated."""
    mean, slope, bias = channels[:3]
    centred = x.astype(_sum_dtype(x)) - mean
    return centred, centred * slope + bias


def _sum_dtype(x: jax.Array) -> jnp.dtype:
    return jnp.promote_types(x.dtype, jnp.float32)
