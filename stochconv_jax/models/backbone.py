"""What a family of networks offers so that two of its copies can be joined."""

from collections.abc import Callable
from typing import Protocol

import jax
from flax import nnx
from jax.typing import DTypeLike


class Backbone(Protocol):
    """What a family of networks must offer so that any two of its copies can be joined."""

    @property
    def stem_kernel_size(self) -> tuple[int, int]:
        """(height, width) of the stem's kernels."""

    @property
    def stem_strides(self) -> tuple[int, int]:
        """(vertical, horizontal) strides of the stem."""

    @property
    def stem_features(self) -> int:
        """Channels of the stem."""

    @property
    def head_features(self) -> int:
        """Channels of the pooled features."""

    @property
    def repeats(self) -> tuple[int, ...]:
        """Blocks of each stage."""

    def stage_features(self, stage: int) -> int:
        """Channels that leave a stage, counted from 1."""

    def make_stem_activation(
        self, features: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> Callable[[jax.Array, bool], jax.Array]:
        """Returns what follows the stem's convolution: a module called with (x, train)."""

    def make_stage(
        self, stage: int, in_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> nnx.List:
        """Returns a stage's blocks: modules called with (x, draw), as MBConv is."""

    def make_head(
        self, in_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> Callable[[jax.Array, bool], jax.Array]:
        """Returns the last layers and the pooling: a module called with (x, train)."""
