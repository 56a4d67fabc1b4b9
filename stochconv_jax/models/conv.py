"""Convolutions and normalisation as layers, which the families of networks are made of."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.nn.initializers import Initializer
from jax.typing import DTypeLike

from stochconv_jax.ops import Padding, depthwise_conv, grouped_conv
from stochconv_jax.ops.activation import Activation, activate
from stochconv_jax.ops.batch_norm import batch_norm as normalise

# Published: normal with variance 2 / fan_out, fan_out = kh * kw * output filters.
CONV_INITIALIZER = nnx.initializers.variance_scaling(2.0, "fan_out", "normal")
# What PyTorch draws where nothing else is said: uniform in +-1/sqrt(fan_in).
PYTORCH_INITIALIZER = nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def initial_bias(features: int, fan_in: int, rngs: nnx.Rngs) -> jax.Array:
    """Draws a bias as PyTorch does, float32 [features] uniform in +-1/sqrt(fan_in)."""
    limit = fan_in**-0.5
    return jax.random.uniform(rngs.params(), (features,), jnp.float32, -limit, limit)


class RunningStatistic(nnx.BatchStat):
    """A statistic that is always replaced whole.

    Flax's own `variable[...] = x` asks a traced x for its sharding, which it has not, and JAX then
    goes through all that was traced before to say so: nearly half of the time a network's tracing
    takes.
    """

    def __setitem__(self, key: Any, value: jax.Array) -> None:
        if key is not Ellipsis:
            raise TypeError("a running statistic is replaced whole: statistic[...] = value")
        self.set_value(value)


class BatchNorm(nnx.BatchNorm):
    """Flax's with an activation; its statistics may be frozen: used as in evaluation, and kept."""

    frozen = False

    def __init__(self, num_features: int, *, activation: Activation = "none", **arguments: Any):
        super().__init__(num_features, **arguments)
        self.activation = activation
        self.mean = RunningStatistic(self.mean[...])
        self.var = RunningStatistic(self.var[...])

    def __call__(
        self,
        x: jax.Array,
        use_running_average: bool | None = None,
        *,
        mask: jax.Array | None = None,
    ) -> jax.Array:
        """Normalises and activates [..., features], to the same shape."""
        running = self.uses_running_average(use_running_average)
        if running or mask is not None:
            return activate(super().__call__(x, running, mask=mask), self.activation)
        y, mean, variance = normalise(*self.operands(x), **self.settings)
        self.follow(mean, variance)
        return y

    def uses_running_average(self, use_running_average: bool | None) -> bool:
        """Returns whether the running statistics normalise where this was asked for."""
        if use_running_average is None:
            use_running_average = self.use_running_average
        return use_running_average or self.frozen

    def operands(self, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Returns x, scale and bias for operations of BatchNorm in training."""
        # `batch_norm`, which makes these layers, makes them with both.
        assert self.scale is not None
        assert self.bias is not None
        return x.astype(self.dtype), self.scale[...], self.bias[...]

    @property
    def settings(self) -> dict[str, Any]:
        """What such operations are told beside."""
        return {
            "epsilon": self.epsilon,
            "axis_name": self.axis_name,
            "activation": self.activation,
        }

    def follow(self, mean: jax.Array, variance: jax.Array) -> None:
        """Moves the running statistics towards a batch's, [features] each."""
        for statistic, value in ((self.mean, mean), (self.var, variance)):
            kept = self.momentum * statistic[...] + (1 - self.momentum) * value
            statistic[...] = jax.lax.stop_gradient(kept)


def batch_norm(
    features: int,
    *,
    activation: Activation = "none",
    epsilon: float = 1e-3,
    dtype: DTypeLike,
    rngs: nnx.Rngs,
) -> BatchNorm:
    """Returns BatchNorm, its statistics in float32, and the activation that follows it.

    TensorFlow's epsilon is 1e-3, PyTorch's 1e-5.

    running = momentum * running + (1 - momentum) * batch, as Flax and TensorFlow define momentum;
    PyTorch's is one minus that.
    """
    return BatchNorm(
        features, activation=activation, momentum=0.99, epsilon=epsilon, dtype=dtype, rngs=rngs
    )


class Dense(nnx.Linear):
    """A dense layer that begins as PyTorch's do, bias and all: [..., in] -> [..., out]."""

    def __init__(
        self, in_features: int, out_features: int, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ):
        super().__init__(
            in_features, out_features, kernel_init=PYTORCH_INITIALIZER, dtype=dtype, rngs=rngs
        )
        self.bias = nnx.Param(initial_bias(out_features, in_features, rngs))


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
    """A depthwise convolution without bias: [B, H, W, C] -> [B, oh, ow, C]."""

    def __init__(
        self,
        features: int,
        kernel_size: int,
        *,
        strides: int,
        padding: Padding,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        shape = (kernel_size, kernel_size, 1, features)
        # A depthwise kernel has one output filter a channel, so fan_out counts its taps alone.
        standard_deviation = (2.0 / kernel_size**2) ** 0.5
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), shape) * standard_deviation)
        self.strides = (strides, strides)
        self.padding = padding
        self.dtype = dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [B, H, W, C] to [B, oh, ow, C]."""
        return depthwise_conv(
            x.astype(self.dtype), self.kernel.astype(self.dtype), self.strides, self.padding
        )


class Conv(nnx.Module):
    """A convolution without bias: [B, H, W, C] -> [B, oh, ow, K], in groups of channels."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: int,
        *,
        strides: int = 1,
        padding: Padding,
        groups: int = 1,
        initializer: Initializer = CONV_INITIALIZER,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        shape = (kernel_size, kernel_size, in_features // groups, out_features)
        self.kernel = nnx.Param(initializer(rngs.params(), shape))
        self.strides = (strides, strides)
        self.padding = padding
        self.groups = groups
        self.dtype = dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [B, H, W, C] to [B, oh, ow, K]."""
        return grouped_conv(
            x.astype(self.dtype),
            self.kernel.astype(self.dtype),
            self.groups,
            self.strides,
            self.padding,
        )
