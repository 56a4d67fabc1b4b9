"""ResNeSt: bottlenecks with split attention, a deep stem, and pooling where ResNet strides.

Source: Zhang et al. 2020, "ResNeSt: Split-Attention Networks", with radix 2 and cardinality 1, and
the details of the authors' package `resnest`.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from stochconv_jax.models.backbone import IMAGENET, Pixels
from stochconv_jax.models.conv import (
    CONV_INITIALIZER,
    Conv,
    Dense,
    PointwiseConv,
    batch_norm,
    initial_bias,
)
from stochconv_jax.models.pooling import average_pool, max_pool
from stochconv_jax.models.resnet import EXPANSION, STAGE_WIDTHS, MeanPool
from stochconv_jax.ops import Padding

RADIX = 2
# Of the attention's hidden layer, as a part of all splits' channels.
REDUCTION = 4
LEAST_REDUCED = 32


@dataclasses.dataclass(frozen=True)
class ResNeSt:
    """A backbone of bottlenecks with split attention.

    Attributes:
      repeats: blocks of each stage.
      stem_features: kernels of the stem's first two convolutions; its third has twice as many.
      pixels: how weights of the family want them.
      padding: of the convolutions and the pooling.
      batch_norm_epsilon: added to the variance; TensorFlow's 1e-3 or PyTorch's 1e-5.
    """

    repeats: tuple[int, ...]
    stem_features: int = 64
    pixels: Pixels = IMAGENET
    padding: Padding = "SYMMETRIC"
    batch_norm_epsilon: float = 1e-5

    stem_kernel_size = (3, 3)
    stem_strides = (2, 2)

    @property
    def stem_padding(self) -> Padding:
        """Padding of the stem's first convolution."""
        return self.padding

    def stem_tail_features(self, features: int) -> int:
        """Channels that leave the deep stem, of so many kernels of its first convolution."""
        return 2 * features

    def head_features(self, in_features: int) -> int:
        """Channels of the pooled features: those that enter."""
        return in_features

    def stage_features(self, stage: int) -> int:
        """Channels that leave stage 1 to 4."""
        return STAGE_WIDTHS[stage - 1] * EXPANSION

    def initial_stem_kernel(self, features: int, rngs: nnx.Rngs) -> jax.Array:
        """Draws the kernels of the stem's first convolution, float32 [3, 3, 3, features]."""
        return CONV_INITIALIZER(rngs.params(), (*self.stem_kernel_size, 3, features))

    def make_stem_tail(self, features: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> "DeepStemTail":
        """Returns what follows the stem's first convolution."""
        return DeepStemTail(
            features,
            self.stem_tail_features(features),
            padding=self.padding,
            epsilon=self.batch_norm_epsilon,
            dtype=dtype,
            rngs=rngs,
        )

    def make_stage(
        self, stage: int, in_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> nnx.List:
        """Returns the blocks of stage 1 to 4; the first of stages 2 to 4 has stride 2."""
        blocks: nnx.List = nnx.List()
        for repeat in range(self.repeats[stage - 1]):
            blocks.append(
                SplitBottleneck(
                    in_features if repeat == 0 else self.stage_features(stage),
                    STAGE_WIDTHS[stage - 1],
                    strides=2 if stage > 1 and repeat == 0 else 1,
                    padding=self.padding,
                    epsilon=self.batch_norm_epsilon,
                    dtype=dtype,
                    rngs=rngs,
                )
            )
        return blocks

    def make_head(self, in_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> MeanPool:
        """Returns the mean over positions."""
        del in_features, dtype, rngs
        return MeanPool()

    def make_classifier(self, in_features: int, num_outputs: int, rngs: nnx.Rngs) -> nnx.Linear:
        """Returns the dense layer."""
        return Dense(in_features, num_outputs, rngs=rngs)


class DeepStemTail(nnx.Module):
    """The rest of a stem of three 3x3 convolutions, and max-pooling over 3x3 with stride 2."""

    def __init__(
        self,
        features: int,
        out_features: int,
        *,
        padding: Padding,
        epsilon: float,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        made: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        self.norm1 = batch_norm(features, activation="relu", epsilon=epsilon, **made)
        self.conv2 = Conv(features, features, 3, padding=padding, **made)
        self.norm2 = batch_norm(features, activation="relu", epsilon=epsilon, **made)
        self.conv3 = Conv(features, out_features, 3, padding=padding, **made)
        self.norm3 = batch_norm(out_features, activation="relu", epsilon=epsilon, **made)
        self.padding = padding

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Maps [B, H, W, features] to [B, oh, ow, out_features]."""
        running = not train
        x = self.norm1(x, use_running_average=running)
        x = self.norm2(self.conv2(x), use_running_average=running)
        x = self.norm3(self.conv3(x), use_running_average=running)
        return max_pool(x, 3, 2, self.padding)


class SplitAttention(nnx.Module):
    """A grouped 3x3 convolution to `RADIX` maps, and their sum weighted for each channel.

    out_c = sum over r of a_rc * u_rc, where u = relu(norm(conv(x))) in RADIX splits and, for each
    channel c, a is the softmax over r of expand(relu(norm(reduce(mean of the sum of splits)))).

    Source: Zhang et al. 2020, section 3.1, for cardinality 1.
    """

    def __init__(
        self,
        features: int,
        *,
        padding: Padding,
        epsilon: float,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        made: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        splits = features * RADIX
        reduced = max(splits // REDUCTION, LEAST_REDUCED)
        self.conv = Conv(features, splits, 3, padding=padding, groups=RADIX, **made)
        self.norm = batch_norm(splits, activation="relu", epsilon=epsilon, **made)
        self.reduce = _dense(features, reduced, **made)
        self.reduce_norm = batch_norm(reduced, activation="relu", epsilon=epsilon, **made)
        self.expand = _dense(reduced, splits, **made)

    def __call__(self, x: jax.Array, running: bool) -> jax.Array:
        """Maps [B, H, W, features] to the same shape; `running` uses the running statistics."""
        x = self.norm(self.conv(x), use_running_average=running)
        means = jnp.mean(x, axis=(1, 2), dtype=jnp.float32).astype(x.dtype)
        pooled = means.reshape(x.shape[0], RADIX, -1).sum(axis=1)
        hidden = self.reduce_norm(self.reduce(pooled), use_running_average=running)
        scores = self.expand(hidden).reshape(x.shape[0], RADIX, -1)
        attention = jax.nn.softmax(scores, axis=1).reshape(x.shape[0], 1, 1, -1)
        return (x * attention).reshape(*x.shape[:3], RADIX, -1).sum(axis=3)


def _dense(in_features: int, out_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> nnx.Linear:
    """Returns a 1x1 convolution of means, its kernel begun as the package's convolutions are."""
    dense = nnx.Linear(
        in_features, out_features, kernel_init=CONV_INITIALIZER, dtype=dtype, rngs=rngs
    )
    dense.bias = nnx.Param(initial_bias(out_features, in_features, rngs))
    return dense


class SplitBottleneck(nnx.Module):
    """A 1x1 convolution, split attention and a widening 1x1 convolution beside a shortcut.

    Where ResNet strides, the mean over 3x3 follows the split attention, and the mean over 2x2 comes
    before the shortcut's convolution.
    """

    def __init__(
        self,
        in_features: int,
        width: int,
        *,
        strides: int,
        padding: Padding,
        epsilon: float,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        made: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        out_features = width * EXPANSION
        self.conv1 = PointwiseConv(in_features, width, **made)
        self.norm1 = batch_norm(width, activation="relu", epsilon=epsilon, **made)
        self.conv2 = SplitAttention(width, padding=padding, epsilon=epsilon, **made)
        self.conv3 = PointwiseConv(width, out_features, **made)
        self.norm3 = batch_norm(out_features, epsilon=epsilon, **made)
        self.strides = strides
        self.padding = padding
        self.projects = strides > 1 or in_features != out_features
        if self.projects:
            self.shortcut = PointwiseConv(in_features, out_features, **made)
            self.shortcut_norm = batch_norm(out_features, epsilon=epsilon, **made)

    def __call__(self, x: jax.Array, draw: jax.Array | None = None) -> jax.Array:
        """Maps [B, H, W, in_features] to [B, oh, ow, 4 width]; `draw` says that it trains."""
        running = draw is None
        y = self.norm1(self.conv1(x), use_running_average=running)
        y = self.conv2(y, running)
        if self.strides > 1:
            y = average_pool(y, 3, self.strides, self.padding, count_padding=True)
            # Every position is in a window, an odd one at the end by itself.
            x = average_pool(x, self.strides, self.strides, "SAME", count_padding=False)
        y = self.norm3(self.conv3(y), use_running_average=running)
        if self.projects:
            x = self.shortcut_norm(self.shortcut(x), use_running_average=running)
        return jax.nn.relu(x + y)


RESNESTS = {
    "resnest50": ResNeSt((3, 4, 6, 3), stem_features=32),
    "resnest101": ResNeSt((3, 4, 23, 3)),
    "resnest200": ResNeSt((3, 24, 36, 3)),
    "resnest269": ResNeSt((3, 30, 48, 8)),
}
