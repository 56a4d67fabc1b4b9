"""What a family of networks offers so that two of its copies can be joined."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax
from flax import nnx
from jax.typing import DTypeLike

from stochconv_jax.ops import Padding, output_size


class Pixels(NamedTuple):
    """How pixels are normalised: (x / 255 - mean) / deviation, for red, green and blue."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


IMAGENET = Pixels((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = Pixels((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
UNIT = Pixels((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
PIXELS = {"imagenet": IMAGENET, "half": HALF, "unit": UNIT}


class Backbone(Protocol):
    """What a family of networks must offer so that any two of its copies can be joined.

    Families are frozen dataclasses, and what weights may ask to be otherwise is a field of theirs:
    `pixels`, `padding` and `batch_norm_epsilon`.
    """

    def __hash__(self) -> int:
        """Of what it is made of, so that equal networks share compiled programs."""

    @property
    def pixels(self) -> Pixels:
        """How the family wants its pixels."""

    @property
    def batch_norm_epsilon(self) -> float:
        """Added to the variance by every BatchNorm."""

    @property
    def stem_kernel_size(self) -> tuple[int, int]:
        """(height, width) of the stem's kernels."""

    @property
    def stem_strides(self) -> tuple[int, int]:
        """(vertical, horizontal) strides of the stem."""

    @property
    def stem_padding(self) -> Padding:
        """Padding of the stem's first convolution; windows are not padded."""

    @property
    def stem_features(self) -> int:
        """Kernels of the stem's first convolution."""

    def stem_tail_features(self, features: int) -> int:
        """Channels that enter stage 1, of so many kernels of the stem."""

    def head_features(self, in_features: int) -> int:
        """Channels of the pooled features, of so many that enter the head."""

    @property
    def repeats(self) -> tuple[int, ...]:
        """Blocks of each stage."""

    def stage_features(self, stage: int) -> int:
        """Channels that leave a stage, counted from 1."""

    def initial_stem_kernel(self, features: int, rngs: nnx.Rngs) -> jax.Array:
        """Draws the stem's kernels, float32 [kh, kw, 3, features]."""

    def make_stem_tail(
        self, features: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> Callable[[jax.Array, bool], jax.Array]:
        """Returns what stands between the first convolution and stage 1.

        A module called with (x, train): normalisation, activation, and whatever convolutions and
        pooling the family has there.
        """

    def make_stage(
        self, stage: int, in_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> nnx.List:
        """Returns a stage's blocks: modules called with (x, draw), as MBConv is."""

    def make_head(
        self, in_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> Callable[[jax.Array, bool], jax.Array]:
        """Returns the last layers and the pooling: a module called with (x, train).

        It gives [B, features], or [B, H, W, features] where the classifier pools.
        """

    def make_classifier(
        self, in_features: int, num_outputs: int, rngs: nnx.Rngs
    ) -> Callable[..., jax.Array]:
        """Returns what makes logits: a dense layer, or another module called with (x, train)."""


def stem_output_size(backbone: Backbone, size: tuple[int, int]) -> tuple[int, int]:
    """Returns (height, width) of the stem's first convolution for a small image of `size`."""
    return output_size(
        size, backbone.stem_kernel_size, backbone.stem_strides, backbone.stem_padding
    )
