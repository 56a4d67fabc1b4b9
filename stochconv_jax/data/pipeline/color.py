"""Random changes that are linear in a pixel's colour: one 3x4 matrix, applied once."""

import dataclasses
import math

import cv2
import numpy as np

# Rec. 601, as OpenCV's and Pillow's grey.
_GREY = np.array([0.299, 0.587, 0.114])
# Eigenvectors times the roots of the eigenvalues of ImageNet's colours, of 0 to 255
# (Krizhevsky et al. 2012, as published with AlexNet's code).
_PRINCIPAL = (
    255
    * np.array(
        [
            [-0.5675, 0.7192, 0.4009],
            [-0.5808, -0.0045, -0.8140],
            [-0.5836, -0.6948, 0.4203],
        ]
    )
    * np.sqrt([0.2175, 0.0188, 0.0045])
)


@dataclasses.dataclass(frozen=True)
class ColorShift:
    """Brightness, contrast, saturation, hue and fancy PCA; 0 leaves each alone.

    Attributes:
      brightness: pixels are multiplied by a factor uniform in 1 +- this.
      contrast: their distance from the image's mean grey, likewise.
      saturation: their distance from their own grey, likewise.
      hue: they are turned about the axis of grey by an angle uniform in +- this, turns, 0 to 0.5.
      fancy_pca: standard deviation of the shifts along ImageNet's main colours (published: 0.1).
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    fancy_pca: float = 0.0

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draws the changes and applies them together: uint8 [H, W, 3] to the same."""
        return cv2.transform(image, self._matrix(image, rng))

    def _matrix(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        factor = 1 + rng.uniform(-1, 1, 3) * [self.brightness, self.contrast, self.saturation]
        brightness, contrast, saturation = factor
        angle = 2 * math.pi * self.hue * rng.uniform(-1, 1)
        shift = _PRINCIPAL @ (self.fancy_pca * rng.standard_normal(3))
        # Rodrigues: a rotation about (1, 1, 1) / sqrt(3).
        axis = np.full(3, 1 / math.sqrt(3))
        cross = np.cross(np.eye(3), axis)
        rotation = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
        grey = np.outer(np.ones(3), _GREY)
        saturate = saturation * np.eye(3) + (1 - saturation) * grey
        linear = brightness * contrast * saturate @ rotation
        mean = float(_GREY @ cv2.mean(image)[:3])
        offset = brightness * (1 - contrast) * mean + shift
        return np.column_stack([linear, offset])
