"""MBConv: the mobile inverted bottleneck block with squeeze-and-excitation and drop path."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from stochconv_jax.ops import depthwise_conv

# Published: normal with variance 2 / fan_out, fan_out = kh * kw * output filters.
CONV_INITIALIZER = nnx.initializers.variance_scaling(2.0, "fan_out", "normal")


def batch_norm(features: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> nnx.BatchNorm:
    """Returns BatchNorm with EfficientNet's constants, its statistics in float32.

    running = momentum * running + (1 - momentum) * batch, as Flax and TensorFlow define momentum;
    PyTorch's is one minus that.
    """
    return nnx.BatchNorm(features, momentum=0.99, epsilon=1e-3, dtype=dtype, rngs=rngs)


class PointwiseConv(nnx.Module):
    """A 1x1 convolution without bias, as the matrix product that it is: [..., in] -> [..., out]."""

    def __init__(self, in_features: int, out_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.kernel = nnx.Param(CONV_INITIALIZER(rngs.params(), (in_features, out_features)))
        self.dtype = dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [..., in_features] to [..., out_features]."""
        # As one matrix: for several leading axes XLA:CPU would transpose the gradient's operands.
        rows = x.reshape(-1, x.shape[-1]).astype(self.dtype)
        return (rows @ self.kernel.astype(self.dtype)).reshape(*x.shape[:-1], -1)


class DepthwiseConv(nnx.Module):
    """A depthwise convolution without bias, "SAME" padding: [B, H, W, C] -> [B, oh, ow, C]."""

    def __init__(
        self, features: int, kernel_size: int, strides: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ):
        shape = (kernel_size, kernel_size, 1, features)
        # A depthwise kernel has one output filter a channel, so fan_out counts its taps alone.
        standard_deviation = (2.0 / kernel_size**2) ** 0.5
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), shape) * standard_deviation)
        self.strides = strides
        self.dtype = dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [B, H, W, C] to [B, oh, ow, C]."""
        return depthwise_conv(
            x.astype(self.dtype), self.kernel.astype(self.dtype), (self.strides, self.strides)
        )


class SqueezeExcitation(nnx.Module):
    """Scales every channel by a gate computed from all channels' means (Hu et al. 2018)."""

    def __init__(self, features: int, reduced: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        def linear(in_features: int, out_features: int) -> nnx.Linear:
            return nnx.Linear(
                in_features, out_features, dtype=dtype, kernel_init=CONV_INITIALIZER, rngs=rngs
            )

        self.reduce = linear(features, reduced)
        self.expand = linear(reduced, features)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [B, H, W, C] to the same shape."""
        mean = jnp.mean(x, axis=(1, 2), dtype=jnp.float32).astype(x.dtype)
        gate = jax.nn.sigmoid(self.expand(jax.nn.silu(self.reduce(mean))))
        return x * gate[:, None, None]


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
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        features = in_features * expand_ratio
        self.expands = expand_ratio != 1
        if self.expands:
            self.expand = PointwiseConv(in_features, features, dtype=dtype, rngs=rngs)
            self.expand_norm = batch_norm(features, dtype=dtype, rngs=rngs)
        self.depthwise = DepthwiseConv(features, kernel_size, strides, dtype=dtype, rngs=rngs)
        self.depthwise_norm = batch_norm(features, dtype=dtype, rngs=rngs)
        reduced = max(1, in_features // 4)
        self.squeeze_excitation = SqueezeExcitation(features, reduced, dtype=dtype, rngs=rngs)
        self.project = PointwiseConv(features, out_features, dtype=dtype, rngs=rngs)
        self.project_norm = batch_norm(out_features, dtype=dtype, rngs=rngs)
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
            y = jax.nn.silu(self.expand_norm(self.expand(y), use_running_average=evaluate))
        y = jax.nn.silu(self.depthwise_norm(self.depthwise(y), use_running_average=evaluate))
        y = self.project(self.squeeze_excitation(y))
        y = self.project_norm(y, use_running_average=evaluate)
        if not self.residual:
            return y
        if draw is not None:
            keep = ((draw >= self.drop_rate) / (1 - self.drop_rate)).astype(y.dtype)
            y = y * keep[:, None, None, None]
        return x + y
