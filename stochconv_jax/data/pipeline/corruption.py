"""What makes an image worse: blur, noise, and a square cut out."""

import dataclasses
import math

import cv2
import numpy as np


@dataclasses.dataclass(frozen=True)
class Blur:
    """Gaussian blur with a standard deviation uniform in 0 to `largest`, in pixels."""

    largest: float

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Blurs an image: uint8 [H, W, 3] to the same."""
        deviation = rng.uniform(0.0, self.largest)
        # Less changes nothing.
        return cv2.GaussianBlur(image, (0, 0), deviation) if deviation > 0.1 else image


@dataclasses.dataclass(frozen=True)
class Noise:
    """Gaussian noise, apart for each channel.

    Attributes:
      deviation: standard deviation in grey levels of 0 to 255, the largest where it is drawn.
      least: the smallest, where it is drawn; its square is uniform. 0 for always `deviation`.
    """

    deviation: float
    least: float = 0.0

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Adds noise to an image: uint8 [H, W, 3] to the same."""
        deviation = self.deviation
        if self.least:
            deviation = math.sqrt(rng.uniform(self.least**2, self.deviation**2))
        grain = rng.standard_normal(image.shape, np.float32) * deviation
        return cv2.add(image, np.rint(grain).astype(np.int16), dtype=cv2.CV_8U)


@dataclasses.dataclass(frozen=True)
class Cutout:
    """One square of the image's mean colour, centred anywhere, `share` of the shorter side wide.

    Source: DeVries & Taylor 2017.
    """

    share: float

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Fills the square in a copy of an image: uint8 [H, W, 3] to the same."""
        height, width = image.shape[:2]
        side = round(self.share * min(height, width))
        centre = rng.uniform(size=2) * [height, width]
        top, left = np.maximum(np.rint(centre - side / 2).astype(int), 0)
        bottom, right = np.rint(centre + side / 2).astype(int)
        image = image.copy()
        image[top:bottom, left:right] = np.rint(cv2.mean(image)[:3])
        return image
