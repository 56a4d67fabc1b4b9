"""Normalisation by the statistics of a batch, which reads its input as seldom as can be."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from stochconv_jax.ops.method import run_form
from stochconv_jax.ops.native import native_channel_sums, native_forms
from stochconv_jax.ops.varying import vary_alike


def batch_norm(
    x: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    epsilon: float,
    axis_name: str | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalises every channel by its mean and variance over all other axes.

    y = (x - mean) / sqrt(variance + epsilon) * scale + bias, variance = E[x^2] - mean^2

    The same numbers as Flax's BatchNorm in training. On the CPU each sum over positions, and the
    gradient's two, come of one pass, in C++ where the installation could build it; XLA:CPU would
    read its operands once for each. Differentiable in reverse mode in x, scale and bias.

    Args:
      x: [..., C], float.
      scale: [C].
      bias: [C], like scale.
      epsilon: added to the variance.
      axis_name: of the mesh over which the statistics are averaged, inside `shard_map`.

    Returns:
      y [..., C] in the dtype of x, and mean and variance [C], in float32 or in the dtype of x if it
      is wider, which have no gradient.

    Source: Ioffe and Szegedy 2015.
    """
    return _normalise(epsilon, axis_name, *vary_alike(x, scale, bias))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _normalise(
    epsilon: float, axis_name: str | None, x: jax.Array, scale: jax.Array, bias: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    return _forward(epsilon, axis_name, x, scale, bias)[0]


def _forward(
    epsilon: float, axis_name: str | None, x: jax.Array, scale: jax.Array, bias: jax.Array
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], tuple[jax.Array, ...]]:
    dtype = _sum_dtype(x)
    total, squares = channel_sums(x, x, jnp.zeros_like(x, dtype, shape=x.shape[-1:]))
    count = x.size // x.shape[-1]
    mean, square = _mean((total / count, squares / count), axis_name)
    # Rounding may leave less than nothing.
    variance = jnp.maximum(square - mean**2, 0)
    slope = scale * lax.rsqrt(variance + epsilon)
    y = ((x.astype(dtype) - mean) * slope + bias).astype(x.dtype)
    return (y, mean, variance), (x, scale, mean, variance)


def _backward(
    epsilon: float,
    axis_name: str | None,
    residuals: tuple[jax.Array, ...],
    cotangents: tuple[jax.Array, jax.Array, jax.Array],
) -> tuple[jax.Array, jax.Array, jax.Array]:
    x, scale, mean, variance = residuals
    outer = cotangents[0]
    inverse = lax.rsqrt(variance + epsilon)
    bias_gradient, product = channel_sums(outer, x, mean)
    count = x.size // x.shape[-1]
    mean_outer, mean_product = _mean((bias_gradient / count, product / count), axis_name)
    slope = scale * inverse
    tilt = -slope * inverse**2 * mean_product
    dtype = _sum_dtype(x)
    x_gradient = (outer.astype(dtype) - mean_outer) * slope + (x.astype(dtype) - mean) * tilt
    scale_gradient = (product * inverse).astype(scale.dtype)
    return x_gradient.astype(x.dtype), scale_gradient, bias_gradient.astype(scale.dtype)


_normalise.defvjp(_forward, _backward)


def _mean(values: tuple[jax.Array, ...], axis_name: str | None) -> tuple[jax.Array, ...]:
    """Returns the values averaged over an axis of the mesh, in one reduction."""
    if axis_name is None:
        return values
    return tuple(lax.pmean(jnp.stack(values), axis_name))


def channel_sums(x: jax.Array, y: jax.Array, shift: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the sums of x and of x * (y - shift) over all axes but the last, [C].

    In float32, or in the dtype of x if it is wider.

    Args:
      x: [..., C].
      y: [..., C], like x.
      shift: float32 [C].
    """
    x, y, shift = vary_alike(x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1]), shift)
    if x.dtype == y.dtype == jnp.float32 and native_forms():
        return run_form("auto", native_channel_sums, _channel_sums, x, y, shift)
    return _channel_sums(x, y, shift)


def _channel_sums(x: jax.Array, y: jax.Array, shift: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, y = x.astype(_sum_dtype(x)), y.astype(_sum_dtype(x))
    return x.sum(axis=0), (x * (y - shift)).sum(axis=0)


def _sum_dtype(x: jax.Array) -> jnp.dtype:
    return jnp.promote_types(x.dtype, jnp.float32)
