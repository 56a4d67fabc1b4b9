"""RandAugment: some operations of a list, drawn for each image, all of one magnitude.

An amount is the magnitude by 10, with a sign for the operations that have two directions; at 0 an
operation changes nothing, except for autocontrast and equalize, which have no magnitude.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping

import cv2
import numpy as np

from stochconv_jax.data.pipeline.color import color_matrix
from stochconv_jax.data.pipeline.warp import (
    Fixed,
    Geometry,
    Warp,
    rotation_matrix,
    translation_matrix,
)

_LEVELS = np.arange(256)
# Pillow's SMOOTH, which its Sharpness takes its distance from.
_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13
_UNCHANGED = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]])


def _autocontrast(image: np.ndarray, amount: float) -> np.ndarray:
    """Stretches each channel to 0 to 255."""
    extremes = [cv2.minMaxLoc(channel)[:2] for channel in cv2.split(image)]
    low, high = np.array(extremes).T
    stretched = (_LEVELS[:, None] - low) * 255 / np.maximum(high - low, 1)
    return _look_up(image, np.where(high > low, stretched, _LEVELS[:, None]))


def _equalize(image: np.ndarray, amount: float) -> np.ndarray:
    """Makes each channel's levels about equally frequent."""
    return cv2.merge([cv2.equalizeHist(channel) for channel in cv2.split(image)])


def _solarize(image: np.ndarray, amount: float) -> np.ndarray:
    """Inverts the levels from a threshold on, 256 to 0."""
    threshold = 256 * (1 - abs(amount))
    return _look_up(image, np.where(threshold <= _LEVELS, 255 - _LEVELS, _LEVELS))


def _posterize(image: np.ndarray, amount: float) -> np.ndarray:
    """Keeps 8 to 4 bits."""
    return image & np.uint8(0xFF << round(4 * abs(amount)) & 0xFF)


def _color(image: np.ndarray, amount: float) -> np.ndarray:
    return cv2.transform(image, color_matrix(image, saturation=_factor(amount)))


def _contrast(image: np.ndarray, amount: float) -> np.ndarray:
    return cv2.transform(image, color_matrix(image, contrast=_factor(amount)))


def _brightness(image: np.ndarray, amount: float) -> np.ndarray:
    return cv2.transform(image, color_matrix(image, brightness=_factor(amount)))


def _sharpness(image: np.ndarray, amount: float) -> np.ndarray:
    """Changes the distance from a smoothed image."""
    factor = _factor(amount)
    return cv2.filter2D(image, -1, factor * _UNCHANGED + (1 - factor) * _SMOOTH)


def _factor(amount: float) -> float:
    return 1 + 0.9 * amount


def _look_up(image: np.ndarray, table: np.ndarray) -> np.ndarray:
    return cv2.LUT(image, np.rint(table).astype(np.uint8)[None])


# From uint8 [H, W, 3] and an amount in [-1, 1] to the same.
PIXELS: Mapping[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "identity": lambda image, amount: image,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "solarize": _solarize,
    "color": _color,
    "posterize": _posterize,
    "contrast": _contrast,
    "brightness": _brightness,
    "sharpness": _sharpness,
}
# From an amount in [-1, 1] and the image's (width, height) to the 3x3 matrix of a view.
GEOMETRY: Mapping[str, Callable[[float, tuple[int, int]], np.ndarray]] = {
    "rotate": lambda amount, size: rotation_matrix(math.radians(30 * amount)),
    "shear_x": lambda amount, size: np.array([[1, 0.3 * amount, 0], [0, 1, 0], [0, 0, 1]]),
    "shear_y": lambda amount, size: np.array([[1, 0, 0], [0.3 * amount, 1, 0], [0, 0, 1]]),
    "translate_x": lambda amount, size: translation_matrix(0.45 * amount * size[0], 0),
    "translate_y": lambda amount, size: translation_matrix(0, 0.45 * amount * size[1]),
}
# How often each operation is drawn. "uniform" is the paper's. Song's thesis weights shape over
# colour and gives no numbers; "shape" has those of pytorch-image-models, whose networks it takes.
WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "uniform": dict.fromkeys([*PIXELS, *GEOMETRY], 1.0),
    "shape": {
        "rotate": 0.3,
        **dict.fromkeys(["shear_x", "shear_y"], 0.2),
        **dict.fromkeys(["translate_x", "translate_y"], 0.1),
        **dict.fromkeys(["color", "sharpness", "autocontrast"], 0.025),
        **dict.fromkeys(["solarize", "contrast", "brightness", "equalize"], 0.005),
    },
}


@dataclasses.dataclass(frozen=True)
class RandAugment:
    """Draws operations, with replacement, and does them.

    Those that move pixels are done together, in one interpolation with the geometry that comes
    before them; then the others, in the order in which they were drawn.

    Attributes:
      operations: how many.
      magnitude: of each, 0 to 10.
      weights: a name in WEIGHTS.
      geometry: to interpolate with.

    Source: Cubuk et al. 2019; amounts as in its code, but growing with the magnitude throughout.
    """

    operations: int = 2
    magnitude: float = 9.0
    weights: str = "uniform"
    geometry: tuple[Geometry, ...] = ()

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draws and does the operations: uint8 [H, W, 3] to the same."""
        weights = WEIGHTS[self.weights]
        shares = np.array(list(weights.values()))
        drawn = rng.choice(list(weights), self.operations, p=shares / shares.sum())
        amounts = self.magnitude / 10 * rng.choice([-1, 1], self.operations)
        height, width = image.shape[:2]
        pairs = list(zip(drawn, amounts, strict=True))
        moves = [
            Fixed(GEOMETRY[name](amount, (width, height)))
            for name, amount in pairs
            if name in GEOMETRY
        ]
        if self.geometry or moves:
            image = Warp((*self.geometry, *moves))(image, rng)
        for name, amount in pairs:
            if name in PIXELS:
                image = PIXELS[name](image, amount)
        return image
