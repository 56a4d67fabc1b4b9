"""Where the windows of a stochastic branch lie."""

import dataclasses
from typing import Protocol

import jax
import jax.numpy as jnp

from stochconv_jax.keys import image_keys
from stochconv_jax.models.context import Context
from stochconv_jax.ops import sample_windows
from stochconv_jax.ops.guided_windows import guide
from stochconv_jax.ops.windows import check_placement, even_points

PLACEMENTS = ("independent", "even", "guided")


class WindowSampler(Protocol):
    """Says where windows lie.

    Attributes:
      windows: per image and pass.
      guided: whether it asks for the evidence that the global branch has found.
    """

    @property
    def windows(self) -> int:
        """See above; a property, since a sampler may not be changed."""

    @property
    def guided(self) -> bool:
        """See above."""

    def __call__(
        self,
        context: Context,
        image_size: tuple[int, int],
        window_size: tuple[int, int],
        evidence: jax.Array | None,
    ) -> jax.Array:
        """Returns the top-left corners of windows, int32 [B, windows, 2].

        Args:
          context: its `window_key`, `draw` and `image_index` are all the randomness.
          image_size: (height, width) of the images, in pixels.
          window_size: (height, width) of a window, in pixels.
          evidence: float32 [B, rows, columns], how much each place of the small image speaks for or
            against a class; for guided windows only.
        """


@dataclasses.dataclass(frozen=True)
class UniformWindows:
    """Windows that are each uniform over every position.

    Attributes:
      windows: windows per image.
      per_image: False draws them once per batch: the paper's published shortcut.
      axes: "independent" or "diagonal"; see `ops.sample_windows`.
      placement: "independent" of one another, or "even": spread over the image together.

    Raises:
      ValueError: `axes` or `placement` is unknown.
    """

    windows: int
    per_image: bool = True
    axes: str = "independent"
    placement: str = "independent"

    def __post_init__(self) -> None:
        check_placement(self.placement, self.axes)

    @property
    def guided(self) -> bool:
        """It asks for nothing."""
        return False

    def __call__(
        self,
        context: Context,
        image_size: tuple[int, int],
        window_size: tuple[int, int],
        evidence: jax.Array | None = None,
    ) -> jax.Array:
        """Returns the corners, whatever the global branch found."""
        del evidence
        return sample_windows(
            context.window_key,
            context.image_index.shape[0],
            self.windows,
            image_size,
            window_size,
            self.per_image,
            self.axes,
            context.image_index,
            self.placement,
            context.draw,
        )


@dataclasses.dataclass(frozen=True)
class GuidedWindows:
    """Even windows, drawn together where the global branch finds evidence.

    A window's centre lies in a cell of the branch's last map with probability

        (1 - floor) * softmax(evidence / (temperature * deviation)) + floor / cells

    where the deviation is the evidence's over the map, so that the temperature has no unit. Centres
    are moved inwards so far that the window fits.

    Attributes:
      windows: windows per image.
      temperature: more than 0; the larger, the more even.
      floor: share of the windows that looks everywhere, in (0, 1].
    """

    windows: int
    temperature: float = 1.0
    floor: float = 0.25

    @property
    def guided(self) -> bool:
        """It asks for the evidence."""
        return True

    def __call__(
        self,
        context: Context,
        image_size: tuple[int, int],
        window_size: tuple[int, int],
        evidence: jax.Array | None = None,
    ) -> jax.Array:
        """Returns the corners.

        Raises:
          ValueError: there is no evidence.
        """
        if evidence is None:
            raise ValueError("guided windows need the evidence of a global branch; give it one")
        spans = [image - window + 1 for image, window in zip(image_size, window_size, strict=True)]
        keys = image_keys(context.window_key, context.image_index)

        def corners(key: jax.Array, density: jax.Array) -> jax.Array:
            points = even_points(key, self.windows, context.draw) >> 8
            centres = guide(points.astype(jnp.float32) / (1 << 24), density)
            corner = centres * jnp.array(image_size) - (jnp.array(window_size) - 1) / 2
            return jnp.clip(jnp.floor(corner).astype(jnp.int32), 0, jnp.array(spans) - 1)

        return jax.vmap(corners)(keys, self.density(evidence))

    def density(self, evidence: jax.Array) -> jax.Array:
        """Returns the probability of each cell, float32 as `evidence` [B, rows, columns]."""
        cells = evidence.reshape(evidence.shape[0], -1).astype(jnp.float32)
        deviation = cells.std(axis=1, keepdims=True)
        softmax = jax.nn.softmax(cells / (self.temperature * deviation + 1e-6), axis=1)
        density = (1 - self.floor) * softmax + self.floor / cells.shape[1]
        return density.reshape(evidence.shape)


def make_window_sampler(
    windows: int, per_image: bool, axes: str, placement: str
) -> UniformWindows | GuidedWindows:
    """Returns the sampler for a placement.

    Raises:
      ValueError: a word is unknown, or guided windows are asked for once per batch or diagonal.
    """
    if placement not in PLACEMENTS:
        raise ValueError(f"placement is {placement!r}; use one of {', '.join(PLACEMENTS)}")
    if placement != "guided":
        return UniformWindows(windows, per_image, axes, placement)
    if not per_image or axes != "independent":
        raise ValueError("guided windows are drawn per image with independent axes")
    return GuidedWindows(windows)
