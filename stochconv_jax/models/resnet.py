"""ResNet: a stem, four stages of residual blocks, and the mean over positions.

Source: He et al. 2016, "Deep Residual Learning for Image Recognition", its table 1; the stride of a
bottleneck in its 3x3 convolution, as torchvision has it ("v1.5"). The stem for small images is that
of Sainadh 2023, "Explainability in Deep Learning Vision Models", table 3.
"""

import dataclasses
from typing import Any

import jax
from flax import nnx
from jax.typing import DTypeLike

from stochconv_jax.models.backbone import IMAGENET, Pixels
from stochconv_jax.models.conv import CONV_INITIALIZER, Conv, Dense, PointwiseConv, batch_norm
from stochconv_jax.models.pooling import max_pool
from stochconv_jax.ops import Padding

# Channels of the 3x3 convolutions of each stage, and how many times as many leave a bottleneck.
STAGE_WIDTHS = (64, 128, 256, 512)
EXPANSION = 4


@dataclasses.dataclass(frozen=True)
class ResNet:
    """A backbone of basic or bottleneck blocks.

    Attributes:
      repeats: blocks of each stage.
      bottleneck: three convolutions in a block, of which the last widens, instead of two.
      small: a stem of 3x3 kernels with stride 1 and no max-pooling, for images of about 64x64.
      pixels: how weights of the family want them.
      padding: of the convolutions and the max-pooling.
      batch_norm_epsilon: added to the variance; TensorFlow's 1e-3 or PyTorch's 1e-5.
    """

    repeats: tuple[int, ...]
    bottleneck: bool
    small: bool = False
    pixels: Pixels = IMAGENET
    padding: Padding = "SYMMETRIC"
    batch_norm_epsilon: float = 1e-5

    stem_features = STAGE_WIDTHS[0]

    @property
    def stem_kernel_size(self) -> tuple[int, int]:
        """(height, width) of the stem's kernels."""
        return (3, 3) if self.small else (7, 7)

    @property
    def stem_strides(self) -> tuple[int, int]:
        """(vertical, horizontal) strides of the stem's convolution."""
        return (1, 1) if self.small else (2, 2)

    @property
    def stem_padding(self) -> Padding:
        """Padding of the stem's convolution."""
        return self.padding

    def stem_tail_features(self, features: int) -> int:
        """Channels that leave the stem, of so many kernels."""
        return features

    def head_features(self, in_features: int) -> int:
        """Channels of the pooled features: those that enter."""
        return in_features

    def stage_features(self, stage: int) -> int:
        """Channels that leave stage 1 to 4."""
        return STAGE_WIDTHS[stage - 1] * (EXPANSION if self.bottleneck else 1)

    def initial_stem_kernel(self, features: int, rngs: nnx.Rngs) -> jax.Array:
        """Draws the stem's kernels, float32 [kh, kw, 3, features]."""
        return CONV_INITIALIZER(rngs.params(), (*self.stem_kernel_size, 3, features))

    def make_stem_tail(self, features: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> "StemTail":
        """Returns what follows the stem's convolution."""
        norm = batch_norm(
            features, activation="relu", epsilon=self.batch_norm_epsilon, dtype=dtype, rngs=rngs
        )
        return StemTail(norm, None if self.small else self.padding)

    def make_stage(
        self, stage: int, in_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> nnx.List:
        """Returns the blocks of stage 1 to 4; the first of stages 2 to 4 has stride 2."""
        block = Bottleneck if self.bottleneck else BasicBlock
        blocks: nnx.List = nnx.List()
        for repeat in range(self.repeats[stage - 1]):
            blocks.append(
                block(
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

    def make_head(self, in_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> "MeanPool":
        """Returns the mean over positions."""
        del in_features, dtype, rngs
        return MeanPool()

    def make_classifier(self, in_features: int, num_outputs: int, rngs: nnx.Rngs) -> nnx.Linear:
        """Returns the dense layer."""
        return Dense(in_features, num_outputs, rngs=rngs)


class StemTail(nnx.Module):
    """BatchNorm, ReLU, and max-pooling over 3x3 with stride 2 unless `pool_padding` is None."""

    def __init__(self, norm: nnx.BatchNorm, pool_padding: Padding | None):
        self.norm = norm
        self.pool_padding = pool_padding

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Maps [B, H, W, features] onward; `train` uses the batch's statistics."""
        x = self.norm(x, use_running_average=not train)
        return x if self.pool_padding is None else max_pool(x, 3, 2, self.pool_padding)


class MeanPool(nnx.Module):
    """The mean over positions."""

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Maps [B, H, W, features] to [B, features]."""
        del train
        return x.mean(axis=(1, 2))


class BasicBlock(nnx.Module):
    """Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution where the shape changes.

    y = relu(shortcut(x) + norm2(conv2(relu(norm1(conv1(x))))))
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
        self.conv1 = Conv(in_features, width, 3, strides=strides, padding=padding, **made)
        self.norm1 = batch_norm(width, activation="relu", epsilon=epsilon, **made)
        self.conv2 = Conv(width, width, 3, padding=padding, **made)
        self.norm2 = batch_norm(width, epsilon=epsilon, **made)
        self.strides = strides
        self.projects = strides > 1 or in_features != width
        if self.projects:
            self.shortcut = PointwiseConv(in_features, width, **made)
            self.shortcut_norm = batch_norm(width, epsilon=epsilon, **made)

    def __call__(self, x: jax.Array, draw: jax.Array | None = None) -> jax.Array:
        """Maps [B, H, W, in_features] to [B, oh, ow, width]; `draw` says that it trains."""
        running = draw is None
        y = self.norm1(self.conv1(x), use_running_average=running)
        y = self.norm2(self.conv2(y), use_running_average=running)
        if self.projects:
            x = self.shortcut(x[:, :: self.strides, :: self.strides])
            x = self.shortcut_norm(x, use_running_average=running)
        return jax.nn.relu(x + y)


class Bottleneck(nnx.Module):
    """A 1x1, a 3x3 and a widening 1x1 convolution beside a shortcut, as in `BasicBlock`."""

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
        self.conv2 = Conv(width, width, 3, strides=strides, padding=padding, **made)
        self.norm2 = batch_norm(width, activation="relu", epsilon=epsilon, **made)
        self.conv3 = PointwiseConv(width, out_features, **made)
        self.norm3 = batch_norm(out_features, epsilon=epsilon, **made)
        self.strides = strides
        self.projects = strides > 1 or in_features != out_features
        if self.projects:
            self.shortcut = PointwiseConv(in_features, out_features, **made)
            self.shortcut_norm = batch_norm(out_features, epsilon=epsilon, **made)

    def __call__(self, x: jax.Array, draw: jax.Array | None = None) -> jax.Array:
        """Maps [B, H, W, in_features] to [B, oh, ow, 4 width]; `draw` says that it trains."""
        running = draw is None
        y = self.norm1(self.conv1(x), use_running_average=running)
        y = self.norm2(self.conv2(y), use_running_average=running)
        y = self.norm3(self.conv3(y), use_running_average=running)
        if self.projects:
            x = self.shortcut(x[:, :: self.strides, :: self.strides])
            x = self.shortcut_norm(x, use_running_average=running)
        return jax.nn.relu(x + y)


RESNETS = {
    "resnet18": ResNet((2, 2, 2, 2), bottleneck=False),
    "resnet34": ResNet((3, 4, 6, 3), bottleneck=False),
    "resnet50": ResNet((3, 4, 6, 3), bottleneck=True),
    "resnet101": ResNet((3, 4, 23, 3), bottleneck=True),
    "resnet18_small": ResNet((2, 2, 2, 2), bottleneck=False, small=True),
    "resnet34_small": ResNet((3, 4, 6, 3), bottleneck=False, small=True),
    "resnet50_small": ResNet((3, 4, 6, 3), bottleneck=True, small=True),
    "resnet101_small": ResNet((3, 4, 23, 3), bottleneck=True, small=True),
}
