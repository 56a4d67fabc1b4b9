"""One random view of an image: crop, shift, rotation and the like in a single interpolation.

A view is a 3x3 matrix from places in the view, (x, y, 1) in pixels from its middle, to pixels of
the image; each part of a warp draws from the generator and changes the view.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from stochconv_jax.data.pipeline.interpolation import interpolate

# From a view, the image's (width, height) and the randomness to a view.
Geometry = Callable[[np.ndarray, tuple[int, int], np.random.Generator], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Crop:
    """A part of the image at any place, resized to the whole.

    Attributes:
      area: least and largest share of the image's area, in (0, 1].
      aspect: least and largest width by height, relative to the image's; uniform in its logarithm.
    """

    area: tuple[float, float] = (0.6, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)

    def __call__(
        self, view: np.ndarray, size: tuple[int, int], rng: np.random.Generator
    ) -> np.ndarray:
        """Returns the view of the part alone."""
        width, height = size
        area = rng.uniform(*self.area) * height * width
        low, high = self.aspect
        aspect = math.exp(rng.uniform(math.log(low), math.log(high))) * width / height
        across, down = min(math.sqrt(area * aspect), width), min(math.sqrt(area / aspect), height)
        # Of what is left on both sides, the share that lies before the part.
        left, top = rng.uniform(size=2).tolist()
        x, y = (left - 0.5) * (width - across), (top - 0.5) * (height - down)
        return view @ np.array([[across / width, 0, x], [0, down / height, y], [0, 0, 1]])


@dataclasses.dataclass(frozen=True)
class Place:
    """Moves the view by whole pixels, so that its middle of (height, width) stays in the image."""

    size: tuple[int, int]

    def __call__(
        self, view: np.ndarray, size: tuple[int, int], rng: np.random.Generator
    ) -> np.ndarray:
        """Returns the view moved."""
        spare = np.array(size) - self.size[::-1]
        return view @ translation_matrix(*(rng.integers(0, spare, endpoint=True) - spare // 2))


@dataclasses.dataclass(frozen=True)
class Shift:
    """Moves the view along each side by a share of it, uniform in +- `share`."""

    share: float

    def __call__(
        self, view: np.ndarray, size: tuple[int, int], rng: np.random.Generator
    ) -> np.ndarray:
        """Returns the view moved."""
        return view @ translation_matrix(*(rng.uniform(-self.share, self.share, 2) * size))


@dataclasses.dataclass(frozen=True)
class Scale:
    """Enlarges what is seen by a factor uniform in 1 +- `share`, about the view's middle."""

    share: float

    def __call__(
        self, view: np.ndarray, size: tuple[int, int], rng: np.random.Generator
    ) -> np.ndarray:
        """Returns the view of a smaller or a larger part."""
        factor = 1 + rng.uniform(-self.share, self.share)
        return view @ np.diag([1 / factor, 1 / factor, 1.0])


@dataclasses.dataclass(frozen=True)
class Rotation:
    """A rotation about the view's middle, uniform in +- `degrees`."""

    degrees: float = 180.0

    def __call__(
        self, view: np.ndarray, size: tuple[int, int], rng: np.random.Generator
    ) -> np.ndarray:
        """Returns the view turned."""
        limit = math.radians(self.degrees)
        return view @ rotation_matrix(rng.uniform(-limit, limit))


@dataclasses.dataclass(frozen=True)
class Flips:
    """Left for right and top for bottom, each with probability 1/2."""

    def __call__(
        self, view: np.ndarray, size: tuple[int, int], rng: np.random.Generator
    ) -> np.ndarray:
        """Returns the view mirrored about its middle, along the image's axes."""
        flipped = view.copy()
        flipped[:2, :2] *= rng.choice([-1, 1], size=2)[:, None]
        return flipped


@dataclasses.dataclass(frozen=True)
class Fixed:
    """The change of the view that a 3x3 matrix says; draws nothing."""

    matrix: np.ndarray

    def __call__(
        self, view: np.ndarray, size: tuple[int, int], rng: np.random.Generator
    ) -> np.ndarray:
        """Returns the view changed."""
        return view @ self.matrix


def rotation_matrix(angle: float) -> np.ndarray:
    """Returns the 3x3 matrix of a rotation about the view's middle, radians."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def translation_matrix(x: float, y: float) -> np.ndarray:
    """Returns the 3x3 matrix that moves a view, pixels."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])


@dataclasses.dataclass(frozen=True)
class Warp:
    """Resamples an image once, as all of its geometry together says.

    What the view sees outside the image is the image mirrored.

    Attributes:
      geometry: the parts, in the order in which they draw.

    Source of crop, rotation and flips: Reekie 2021, section 4.1.6.
    """

    geometry: tuple[Geometry, ...] = (Crop(), Rotation(), Flips())

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draws one view of an image: uint8 [H, W, 3] to the same."""
        return interpolate(image, self.to_source(image.shape[:2], rng))

    def to_source(self, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """Draws where one view of an image of (height, width) lies: what `interpolate` takes."""
        height, width = size
        # Pixel centres lie at whole numbers, so the middle lies half a pixel before W / 2.
        x, y = (width - 1) / 2, (height - 1) / 2
        view = translation_matrix(x, y)
        for part in self.geometry:
            view = part(view, (width, height), rng)
        return (view @ translation_matrix(-x, -y))[:2]
