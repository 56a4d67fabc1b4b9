"""Normalisation by the statistics of a batch, which reads its input as seldom as can be."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from stochconv_jax.ops.activation import Activation, check_activation
from stochconv_jax.ops.batch_norm_passes import (
    activated,
    gradient_sums,
    input_gradient,
    no_gates,
    power_sums,
    sum_dtype,
)
from stochconv_jax.ops.varying import vary_alike


class Settings(NamedTuple):
    """What an operation of BatchNorm is told beside its arrays; `batch_norm` has what each is."""

    epsilon: float
    axis_name: str | None = None
    activation: Activation = "none"


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
    the gradient, which makes the activation's derivative again. All is done in four passes over
    positions: the sums, y, the gradient's sums, and the gradient in x. Differentiable in reverse
    mode in x, scale and bias.

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

    Raises:
      ValueError: the activation is unknown.

    Source: Ioffe and Szegedy 2015.
    """
    check_activation(activation)
    x, scale, bias = vary_alike(x, scale.astype(sum_dtype(x)), bias.astype(sum_dtype(x)))
    rows = x.reshape(1, -1, x.shape[-1])
    settings = Settings(epsilon, axis_name, activation)
    y, mean, variance = _normalise(settings, rows, scale, bias)
    return y.reshape(x.shape), mean, variance


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _normalise(
    settings: Settings, x: jax.Array, scale: jax.Array, bias: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    return _forward(settings, x, scale, bias)[0]


def _forward(
    settings: Settings, x: jax.Array, scale: jax.Array, bias: jax.Array
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], tuple[jax.Array, ...]]:
    mean, variance = statistics(x, settings.axis_name)
    channels, inverse = channel_values(mean, variance, scale, bias, settings.epsilon)
    y = activated(x, channels, no_gates(x), settings.activation)
    return (y, mean, variance), (x, channels, inverse)


def _backward(
    settings: Settings,
    residuals: tuple[jax.Array, ...],
    cotangents: tuple[jax.Array, jax.Array, jax.Array],
) -> tuple[jax.Array, jax.Array, jax.Array]:
    x, channels, inverse = residuals
    sums = gradient_sums(x, channels, no_gates(x), cotangents[0], settings.activation)[0]
    channels = gradient_channels(channels, inverse, sums, x.shape[1], settings.axis_name)
    x_gradient = input_gradient(x, channels, no_gates(x), cotangents[0], settings.activation)
    return x_gradient, sums[1] * inverse, sums[0]


_normalise.defvjp(_forward, _backward)


def statistics(x: jax.Array, axis_name: str | None) -> tuple[jax.Array, jax.Array]:
    """Returns every channel's mean and variance, [C], over the images and rows of [G, R, C]."""
    mean, square = _mean(power_sums(x).sum(axis=0), x.shape[0] * x.shape[1], axis_name)
    # Rounding may leave less than nothing.
    return mean, jnp.maximum(square - mean**2, 0)


def channel_values(
    mean: jax.Array, variance: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float
) -> tuple[jax.Array, jax.Array]:
    """Returns the channels [3, C] of batch_norm_passes.py, and 1 / sqrt(variance + epsilon)."""
    inverse = lax.rsqrt(variance + epsilon)
    return jnp.stack([mean, scale * inverse, bias]), inverse


def gradient_channels(
    channels: jax.Array, inverse: jax.Array, sums: jax.Array, rows: int, axis_name: str | None
) -> jax.Array:
    """Returns the channels [5, C] that give the gradient in x.

    Args:
      channels: [3, C].
      inverse: [C].
      sums: over `rows` rows of dz and of dz * (x - mean), [2, C].
      rows: on this device.
      axis_name: as that of `batch_norm`.
    """
    mean_outer, mean_product = _mean(sums, rows, axis_name)
    tilt = -channels[1] * inverse**2 * mean_product
    return jnp.concatenate([channels, jnp.stack([mean_outer, tilt])])


def _mean(sums: jax.Array, rows: int, axis_name: str | None) -> jax.Array:
    means = sums / rows
    return means if axis_name is None else lax.pmean(means, axis_name)
