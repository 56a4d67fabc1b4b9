"""MBConv: the mobile inverted bottleneck block, with squeeze-and-excitation and drop path."""

import functools

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from stochconv_jax.models.conv import (
    CONV_INITIALIZER,
    BatchNorm,
    DepthwiseConv,
    PointwiseConv,
    batch_norm,
)
from stochconv_jax.ops import Padding
from stochconv_jax.ops.activation import Activation
from stochconv_jax.ops.squeeze_excitation import (
    Weights,
    batch_norm_squeeze_excitation,
    gates_of,
)


class SqueezeExcitation(nnx.Module):
    """Scales every channel by a gate computed from all channels' means (Hu et al. 2018)."""

    def __init__(self, features: int, reduced: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        # Parameters by the names that checkpoints have; `gates_of` computes.
        def linear(in_features: int, out_features: int) -> nnx.Linear:
            return nnx.Linear(in_features, out_features, kernel_init=CONV_INITIALIZER, rngs=rngs)

        self.reduce = linear(features, reduced)
        self.expand = linear(reduced, features)
        self.dtype = dtype

    def __call__(self, x: jax.Array, norm: BatchNorm, use_running_average: bool) -> jax.Array:
        """Maps [B, H, W, C] to the same shape, after `norm` with its activation."""
        weights = self._weights()
        if norm.uses_running_average(use_running_average):
            x = norm(x, use_running_average=True)
            mean = jnp.mean(x, axis=(1, 2), dtype=jnp.float32).astype(x.dtype)
            return x * gates_of(mean, weights)[:, None, None]
        out, mean, variance = batch_norm_squeeze_excitation(
            *norm.operands(x), weights, **norm.settings
        )
        norm.follow(mean, variance)
        return out

    def _weights(self) -> Weights:
        # `nnx.Linear` makes a bias where nothing else is said.
        assert self.reduce.bias is not None
        assert self.expand.bias is not None
        parameters = self.reduce.kernel, self.reduce.bias, self.expand.kernel, self.expand.bias
        return Weights(*(parameter[...].astype(self.dtype) for parameter in parameters))


class MBConv(nnx.Module):
    """Expansion, depthwise convolution, squeeze-and-excitation and a linear projection.

    Where input and output have the same shape the input is added, after drop path with
    `drop_rate`.

    Source: Tan and Le 2019, with the official implementation's details: squeeze to a quarter of
    the block's input channels, biases in squeeze-and-excitation, no activation after projection.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        expand_ratio: int,
        kernel_size: int,
        strides: int,
        drop_rate: float,
        squeeze_excitation: bool = True,
        activation: Activation = "silu",
        padding: Padding = "SAME",
        epsilon: float = 1e-3,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        features = in_features * expand_ratio
        norm = functools.partial(batch_norm, epsilon=epsilon, dtype=dtype, rngs=rngs)
        self.expands = expand_ratio != 1
        if self.expands:
            self.expand = PointwiseConv(in_features, features, dtype=dtype, rngs=rngs)
            self.expand_norm = norm(features, activation=activation)
        self.depthwise = DepthwiseConv(
            features, kernel_size, strides=strides, padding=padding, dtype=dtype, rngs=rngs
        )
        self.depthwise_norm = norm(features, activation=activation)
        self.squeezes = squeeze_excitation
        if self.squeezes:
            reduced = max(1, in_features // 4)
            self.squeeze_excitation = SqueezeExcitation(features, reduced, dtype=dtype, rngs=rngs)
        self.project = PointwiseConv(features, out_features, dtype=dtype, rngs=rngs)
        self.project_norm = norm(out_features)
        self.residual = strides == 1 and in_features == out_features
        self.drop_rate = drop_rate

    def __call__(self, x: jax.Array, draw: jax.Array | None = None) -> jax.Array:
        """Applies the block.

        Args:
          x: [B, H, W, in_features].
          draw: [B] uniform in [0, 1) for drop path, given when training; None evaluates with
            the running statistics.

        Returns:
          [B, oh, ow, out_features].
        """
        evaluate = draw is None
        y = x
        if self.expands:
            y = self.expand_norm(self.expand(y), use_running_average=evaluate)
        y = self.depthwise(y)
        if self.squeezes:
            y = self.squeeze_excitation(y, self.depthwise_norm, use_running_average=evaluate)
        else:
            y = self.depthwise_norm(y, use_running_average=evaluate)
        y = self.project_norm(self.project(y), use_running_average=evaluate)
        if not self.residual:
            return y
        if draw is not None:
            keep = ((draw >= self.drop_rate) / (1 - self.drop_rate)).astype(y.dtype)
            y = y * keep[:, None, None, None]
        return x + y
