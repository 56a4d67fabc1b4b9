"""Random changes of colour: those that are linear in it as one 3x4 matrix, applied once."""

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
      fancy_pca: standard deviation of the shifts along the main colours (published: 0.1).
      fancy_pca_axes: "imagenet" for ImageNet's main colours, in units of the spread along each;
        "image" for those of the image's own pixels, of 0 to 1, in units of their eigenvalues.

    Source of "image": Mashhadi 2023, section 3.2.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    fancy_pca: float = 0.0
    fancy_pca_axes: str = "imagenet"

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draws the changes and applies them together: uint8 [H, W, 3] to the same."""
        factor = 1 + rng.uniform(-1, 1, 3) * [self.brightness, self.contrast, self.saturation]
        brightness, contrast, saturation = factor
        turns = self.hue * rng.uniform(-1, 1)
        alpha = self.fancy_pca * rng.standard_normal(3)
        matrix = color_matrix(image, brightness, contrast, saturation, turns)
        if self.fancy_pca:
            axes = _PRINCIPAL if self.fancy_pca_axes == "imagenet" else _principal_colors(image)
            matrix[:, 3] += axes @ alpha
        return cv2.transform(image, matrix)


@dataclasses.dataclass(frozen=True)
class HsvShift:
    """Hue, saturation and value, each moved by an amount uniform in +- what is given for it.

    Attributes:
      largest: of hue, in 180ths of a turn, of saturation and of value, of 0 to 255.

    Source: Mashhadi 2023, section 3.2.
    """

    largest: tuple[float, float, float]

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draws the shifts and applies them: uint8 [H, W, 3] to the same."""
        hue, saturation, value = np.rint(rng.uniform(-1, 1, 3) * self.largest)
        levels = np.arange(256)
        moved = [(levels + hue) % 180, levels + saturation, levels + value]
        table = np.clip(np.stack(moved, axis=-1), 0, 255).astype(np.uint8)
        hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), table[None])
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def color_matrix(
    image: np.ndarray,
    brightness: float = 1.0,
    contrast: float = 1.0,
    saturation: float = 1.0,
    turns: float = 0.0,
) -> np.ndarray:
    """Returns the change of colour as float64 [3, 4], for `cv2.transform`.

    Args:
      image: uint8 [H, W, 3], from whose mean grey contrast counts.
      brightness: factor on pixels.
      contrast: factor on their distance from the image's mean grey.
      saturation: factor on their distance from their own grey.
      turns: about the axis of grey.
    """
    angle = 2 * math.pi * turns
    # Rodrigues: a rotation about (1, 1, 1) / sqrt(3).
    axis = np.full(3, 1 / math.sqrt(3))
    cross = np.cross(np.eye(3), axis)
    rotation = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    grey = np.outer(np.ones(3), _GREY)
    saturate = saturation * np.eye(3) + (1 - saturation) * grey
    linear = brightness * contrast * saturate @ rotation
    mean = float(_GREY @ cv2.mean(image)[:3])
    return np.column_stack([linear, np.full(3, brightness * (1 - contrast) * mean)])


def _principal_colors(image: np.ndarray) -> np.ndarray:
    """Returns [3, 3], each column a main colour of the pixels times its eigenvalue, of 0 to 255."""
    mean = np.array(cv2.mean(image)[:3])
    # Centred in float32, which is ten times faster than in float64.
    centred = image.reshape(-1, 3) - mean.astype(np.float32)
    covariance = (centred.T @ centred).astype(float) / (len(centred) - 1) / 255**2
    eigenvalues, vectors = np.linalg.eigh(covariance)
    return 255 * vectors * eigenvalues
