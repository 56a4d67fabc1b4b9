"""Where the windows of a stochastic branch lie."""

import dataclasses
from collections.abc import Mapping
from typing import Protocol

import jax

from stochconv_jax.models.context import Context
from stochconv_jax.ops import sample_windows
from stochconv_jax.ops.windows import AXES


class WindowSampler(Protocol):
    """Says where windows lie; it is asked after the branches that draw nothing."""

    windows: int

    def __call__(
        self,
        context: Context,
        image_size: tuple[int, int],
        window_size: tuple[int, int],
        given: Mapping[str, jax.Array],
    ) -> jax.Array:
        """Returns the top-left corners of windows, int32 [B, windows, 2].

        Args:
          context: its `window_key` and `image_index` are all the randomness.
          image_size: (height, width) of the images, in pixels.
          window_size: (height, width) of a window, in pixels.
          given: what the other branches bring to the join, by name.
        """


@dataclasses.dataclass(frozen=True)
class UniformWindows:
    """Windows that are uniform over every position and independent of one another.

    Attributes:
      windows: windows per image, dividing the kernels of the stem.
      per_image: False draws them once per batch: the paper's published shortcut.
      axes: "independent" or "diagonal"; see `ops.sample_windows`.

    Raises:
      ValueError: `axes` is unknown.
    """

    windows: int
    per_image: bool = True
    axes: str = "independent"

    def __post_init__(self) -> None:
        if self.axes not in AXES:
            raise ValueError(f"axes is {self.axes!r}; use one of {', '.join(AXES)}")

    def __call__(
        self,
        context: Context,
        image_size: tuple[int, int],
        window_size: tuple[int, int],
        given: Mapping[str, jax.Array],
    ) -> jax.Array:
        """Returns the corners, whatever the other branches found."""
        del given
        return sample_windows(
            context.window_key,
            len(context.image_index),
            self.windows,
            image_size,
            window_size,
            self.per_image,
            self.axes,
            context.image_index,
        )
