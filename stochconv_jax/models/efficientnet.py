"""EfficientNet and EfficientNet-Lite: a stem, seven stages of MBConv blocks and a head.

Source: Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks", and the constants of its official implementation; B8 and L2 by the same rules; Lite by
the same authors' implementation of 2020.
"""

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
from flax import nnx
from jax.typing import DTypeLike

from stochconv_jax.models.backbone import HALF, IMAGENET, Pixels
from stochconv_jax.models.conv import CONV_INITIALIZER, BatchNorm, PointwiseConv, batch_norm
from stochconv_jax.models.mbconv import MBConv
from stochconv_jax.ops import Padding
from stochconv_jax.ops.activation import Activation


class Stage(NamedTuple):
    """One row of the paper's table 1, before scaling."""

    expand_ratio: int
    kernel_size: int
    strides: int
    features: int
    repeats: int


STAGES = (
    Stage(1, 3, 1, 16, 1),
    Stage(6, 3, 2, 24, 2),
    Stage(6, 5, 2, 40, 2),
    Stage(6, 3, 2, 80, 3),
    Stage(6, 5, 1, 112, 3),
    Stage(6, 5, 2, 192, 4),
    Stage(6, 3, 1, 320, 1),
)


@dataclasses.dataclass(frozen=True)
class EfficientNet:
    """A backbone scaled by width and depth.

    Attributes:
      width: factor on channels.
      depth: factor on the blocks of each stage.
      resolution: side in pixels of the images that it was tuned for.
      dropout: rate before its dense layer that it was tuned with.
      drop_path: rate of the last block; it rises linearly with depth.
      lite: without squeeze-and-excitation, with ReLU6 in swish's place, and with stem, head and the
        depth of the first and the last stage as they are in B0.
      pixels: how weights of the family want them; the official ones were trained with ImageNet's.
      padding: of the stem's and the depthwise convolutions.
      batch_norm_epsilon: added to the variance; TensorFlow's 1e-3 or PyTorch's 1e-5.
    """

    width: float
    depth: float
    resolution: int
    dropout: float
    drop_path: float = 0.2
    lite: bool = False
    pixels: Pixels = IMAGENET
    padding: Padding = "SAME"
    batch_norm_epsilon: float = 1e-3

    stem_kernel_size = (3, 3)
    stem_strides = (2, 2)

    @property
    def stem_features(self) -> int:
        """Channels of the stem."""
        return 32 if self.lite else self._scale_features(32)

    def stem_tail_features(self, features: int) -> int:
        """Channels that leave the stem, of so many kernels."""
        return features

    def head_features(self, in_features: int) -> int:
        """Channels of the pooled features, whatever enters the head."""
        del in_features
        return 1280 if self.lite else self._scale_features(1280)

    @property
    def repeats(self) -> tuple[int, ...]:
        """Blocks of each stage."""
        scaled = [math.ceil(stage.repeats * self.depth) for stage in STAGES]
        if self.lite:
            scaled[0], scaled[-1] = STAGES[0].repeats, STAGES[-1].repeats
        return tuple(scaled)

    def stage_features(self, stage: int) -> int:
        """Channels that leave stage 1 to 7."""
        return self._scale_features(STAGES[stage - 1].features)

    def initial_stem_kernel(self, features: int, rngs: nnx.Rngs) -> jax.Array:
        """Draws the stem's kernels, float32 [3, 3, 3, features]."""
        return CONV_INITIALIZER(rngs.params(), (*self.stem_kernel_size, 3, features))

    def make_stem_tail(
        self, features: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> "NormActivation":
        """Returns what follows the stem's convolution."""
        return self._norm_activation(features, dtype=dtype, rngs=rngs)

    def make_stage(
        self, stage: int, in_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> nnx.List:
        """Returns the blocks of stage 1 to 7, each with weights of its own."""
        spec = STAGES[stage - 1]
        features = self.stage_features(stage)
        first = sum(self.repeats[: stage - 1])
        blocks: nnx.List = nnx.List()
        for repeat in range(self.repeats[stage - 1]):
            blocks.append(
                MBConv(
                    in_features if repeat == 0 else features,
                    features,
                    expand_ratio=spec.expand_ratio,
                    kernel_size=spec.kernel_size,
                    strides=spec.strides if repeat == 0 else 1,
                    drop_rate=self.drop_path * (first + repeat) / sum(self.repeats),
                    squeeze_excitation=not self.lite,
                    activation=self.activation,
                    padding=self.padding,
                    epsilon=self.batch_norm_epsilon,
                    dtype=dtype,
                    rngs=rngs,
                )
            )
        return blocks

    def make_head(self, in_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> "Head":
        """Returns the last convolution and the pooling."""
        features = self.head_features(in_features)
        return Head(
            PointwiseConv(in_features, features, dtype=dtype, rngs=rngs),
            self._norm_activation(features, dtype=dtype, rngs=rngs),
        )

    def make_classifier(self, in_features: int, num_outputs: int, rngs: nnx.Rngs) -> nnx.Linear:
        """Returns the dense layer.

        Published: uniform in +-1/sqrt(outputs), for 1,000 outputs; with a few outputs that rule
        would start far from a balanced guess, so the range stays at the published one.
        """
        limit = max(num_outputs, 1000) ** -0.5
        return nnx.Linear(
            in_features,
            num_outputs,
            kernel_init=lambda key, shape, dtype, **_: jax.random.uniform(
                key, shape, dtype, -limit, limit
            ),
            rngs=rngs,
        )

    @property
    def activation(self) -> Activation:
        """What follows every BatchNorm but those of projections."""
        return "relu6" if self.lite else "silu"

    @property
    def stem_padding(self) -> Padding:
        """Padding of the stem's convolution."""
        return self.padding

    def _norm_activation(self, features: int, **made: Any) -> "NormActivation":
        return NormActivation(
            batch_norm(
                features, activation=self.activation, epsilon=self.batch_norm_epsilon, **made
            )
        )

    def _scale_features(self, features: int) -> int:
        """Scales by width to the nearest multiple of 8, never more than 10% below."""
        scaled = features * self.width
        rounded = max(8, int(scaled + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * scaled else rounded


class NormActivation(nnx.Module):
    """BatchNorm with its activation, as what follows a convolution."""

    def __init__(self, norm: BatchNorm):
        self.norm = norm

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Maps [B, H, W, features] to the same shape; `train` uses the batch's statistics."""
        return self.norm(x, use_running_average=not train)


class Head(nnx.Module):
    """The last 1x1 convolution, BatchNorm, activation, and the mean over positions."""

    def __init__(self, conv: PointwiseConv, activation: NormActivation):
        self.conv = conv
        self.activation = activation

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Maps [B, H, W, in_features] to [B, features]; `train` uses the batch's statistics."""
        return self.activation(self.conv(x), train).mean(axis=(1, 2))


_lite = functools.partial(EfficientNet, lite=True, pixels=HALF)

EFFICIENTNETS = {
    "efficientnet_b0": EfficientNet(1.0, 1.0, 224, 0.2),
    "efficientnet_b1": EfficientNet(1.0, 1.1, 240, 0.2),
    "efficientnet_b2": EfficientNet(1.1, 1.2, 260, 0.3),
    "efficientnet_b3": EfficientNet(1.2, 1.4, 300, 0.3),
    "efficientnet_b4": EfficientNet(1.4, 1.8, 380, 0.4),
    "efficientnet_b5": EfficientNet(1.6, 2.2, 456, 0.4),
    "efficientnet_b6": EfficientNet(1.8, 2.6, 528, 0.5),
    "efficientnet_b7": EfficientNet(2.0, 3.1, 600, 0.5),
    "efficientnet_b8": EfficientNet(2.2, 3.6, 672, 0.5),
    "efficientnet_l2": EfficientNet(4.3, 5.3, 800, 0.5),
    "efficientnet_lite0": _lite(1.0, 1.0, 224, 0.2),
    "efficientnet_lite1": _lite(1.0, 1.1, 240, 0.2),
    "efficientnet_lite2": _lite(1.1, 1.2, 260, 0.3),
    "efficientnet_lite3": _lite(1.2, 1.4, 280, 0.3),
    "efficientnet_lite4": _lite(1.4, 1.8, 300, 0.3),
    # Ours, not published: half of B0's width, one block per stage, for tests and the quickstart.
    "efficientnet_tiny": EfficientNet(0.5, 0.25, 112, 0.2),
}
