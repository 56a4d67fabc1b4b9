"""What a family of networks offers so that two of its copies can be joined."""

from collections.abc import Callable
from typing import Protocol

import jax
from flax import nnx
from jax.typing import DTypeLike


class Backbone(Protocol):
    """What a family of networks must offer so that any two of its copies can be joined."""

    @property
    def pixel_mean(self) -> tuple[float, float, float]:
        """Mean of red, green and blue, for pixels scaled to [0, 1], that the family subtracts."""

    @property
    def pixel_deviation(self) -> tuple[float, float, float]:
        """Standard deviation of the same, by which it divides."""

    @property
    def stem_kernel_size(self) -> tuple[int, int]:
        """(height, width) of the stem's kernels."""

    @property
    def stem_strides(self) -> tuple[int, int]:
        """(vertical, horizontal) strides of the stem."""

    @property
    def stem_features(self) -> int:
        """Channels of the stem."""

    def head_features(self, in_features: int) -> int:
        """Channels of the pooled features, of so many that enter the head."""

    @property
    def repeats(self) -> tuple[int, ...]:
        """Blocks of each stage."""

    def stage_features(self, stage: int) -> int:
        """Channels that leave a stage, counted from 1."""

    def initial_stem_kernel(self, features: int, rngs: nnx.Rngs) -> jax.Array:
        """Draws the stem's kernels, float32 [kh, kw, 3, features]."""

    def make_stem_activation(
        self, features: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> Callable[[jax.Array, bool], jax.Array]:
        """Returns what follows the stem's first convolution: a module called with (x, train)."""

    def make_stage(
        self, stage: int, in_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> nnx.List:
        """Returns a stage's blocks: modules called with (x, draw), as MBConv is."""

    def make_head(
        self, in_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> Callable[[jax.Array, bool], jax.Array]:
        """Returns the last layers and the pooling: a module called with (x, train)."""

    def make_classifier(self, in_features: int, num_outputs: int, rngs: nnx.Rngs) -> nnx.Linear:
        """Returns the dense layer."""
