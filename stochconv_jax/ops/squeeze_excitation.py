"""BatchNorm, an activation and squeeze-and-excitation as one operation."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from stochconv_jax.ops.activation import Activation, check_activation
from stochconv_jax.ops.batch_norm import (
    Settings,
    channel_values,
    gradient_channels,
    statistics,
)
from stochconv_jax.ops.batch_norm_passes import (
    activated,
    activated_sums,
    gradient_sums,
    input_gradient,
    sum_dtype,
)
from stochconv_jax.ops.varying import vary_alike


class Weights(NamedTuple):
    """Of the two dense layers that make gates of means, in the dtype to compute them in."""

    reduce_kernel: jax.Array  # [C, reduced]
    reduce_bias: jax.Array  # [reduced]
    expand_kernel: jax.Array  # [reduced, C]
    expand_bias: jax.Array  # [C]


def gates_of(mean: jax.Array, weights: Weights) -> jax.Array:
    """Returns every channel's gate, [B, C], of all channels' means [B, C].

    gate = sigmoid(expand(swish(reduce(mean))))

    Source: Hu et al. 2018; swish as in EfficientNet.
    """
    reduced = jax.nn.silu(mean @ weights.reduce_kernel + weights.reduce_bias)
    return jax.nn.sigmoid(reduced @ weights.expand_kernel + weights.expand_bias)


def batch_norm_squeeze_excitation(
    x: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    weights: Weights,
    epsilon: float,
    axis_name: str | None = None,
    activation: Activation = "none",
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalises and activates as `batch_norm` does, and gates every channel of every image.

    out = y * gate,  gate = gates_of(mean of y over positions)

    Neither y nor its gradient is ever stored: forward they are made twice, for the mean and for
    out, and backward one pass makes the sums that both the gates' gradient and BatchNorm's follow
    from. Differentiable in reverse mode in x, scale, bias and weights.

    Args:
      x: [B, H, W, C], float.
      scale: [C].
      bias: [C], like scale.
      weights: of the gates.
      epsilon: added to the variance.
      axis_name: of the mesh over which the statistics are averaged, inside `shard_map`.
      activation: that makes y.

    Returns:
      out [B, H, W, C] in the dtype of x, and mean and variance [C] of x, in float32 or in the dtype
      of x if it is wider, which have no gradient.

    Raises:
      ValueError: the activation is unknown.

    Source: Ioffe and Szegedy 2015; Hu et al. 2018.
    """
    check_activation(activation)
    scale, bias = scale.astype(sum_dtype(x)), bias.astype(sum_dtype(x))
    x, scale, bias, *varying = vary_alike(x, scale, bias, *weights)
    rows = x.reshape(x.shape[0], x.shape[1] * x.shape[2], x.shape[3])
    operands = rows, scale, bias, Weights(*varying)
    settings = Settings(epsilon, axis_name, activation)
    out, mean, variance = _gated(settings, *operands)
    return out.reshape(x.shape), mean, variance


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _gated(
    settings: Settings, x: jax.Array, scale: jax.Array, bias: jax.Array, weights: Weights
) -> tuple[jax.Array, jax.Array, jax.Array]:
    return _forward(settings, x, scale, bias, weights)[0]


def _forward(
    settings: Settings, x: jax.Array, scale: jax.Array, bias: jax.Array, weights: Weights
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], tuple]:
    mean, variance = statistics(x, settings.axis_name)
    channels, inverse = channel_values(mean, variance, scale, bias, settings.epsilon)
    pooled = (activated_sums(x, channels, settings.activation)[:, 0] / x.shape[1]).astype(x.dtype)
    gates = gates_of(pooled, weights).astype(sum_dtype(x))[:, None]
    out = activated(x, channels, gates, settings.activation)
    return (out, mean, variance), (x, channels, inverse, pooled, gates, weights)


def _backward(
    settings: Settings,
    residuals: tuple,
    cotangents: tuple[jax.Array, jax.Array, jax.Array],
) -> tuple[jax.Array, jax.Array, jax.Array, Weights]:
    x, channels, inverse, pooled, gates, weights = residuals
    images, rows, _ = x.shape
    sums = gradient_sums(x, channels, gates, cotangents[0], settings.activation)
    made, pull_back = jax.vjp(gates_of, pooled, weights)
    pooled_gradient, weights_gradient = pull_back(sums[:, 4].astype(made.dtype))
    added = pooled_gradient.astype(gates.dtype)[:, None] / rows
    # What the gates let through, and what comes by way of the mean.
    outer_sums = (sums[:, :2] * gates + sums[:, 2:4] * added).sum(axis=0)
    channels = gradient_channels(channels, inverse, outer_sums, images * rows, settings.axis_name)
    gates = jnp.concatenate([gates, added], axis=1)
    x_gradient = input_gradient(x, channels, gates, cotangents[0], settings.activation)
    return x_gradient, outer_sums[1] * inverse, outer_sums[0], weights_gradient


_gated.defvjp(_forward, _backward)
