"""What makes an image worse: blur, noise, and a square cut out."""

import dataclasses

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
    """Gaussian noise of a standard deviation in grey levels of 0 to 255, apart for each channel."""

    deviation: float

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Adds noise to an image: uint8 [H, W, 3] to the same."""
        grain = rng.standard_normal(image.shape, np.float32) * self.deviation
        return cv2.add(image, np.rint(grain).astype(np.int16), dtype=cv2.CV_8U)


@dataclasses.dataclass(frozen=True)
class Cutout:
    """One grey square with a centre anywhere and a side of `share` of the shorter side."""

    share: float

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Greys the square in a copy of an image: uint8 [H, W, 3] to the same."""
        height, width = image.shape[:2]
        side = round(self.share * min(height, width))
        centre = rng.uniform(size=2) * [height, width]
        top, left = np.maximum(np.rint(centre - side / 2).astype(int), 0)
        bottom, right = np.rint(centre + side / 2).astype(int)
        image = image.copy()
        image[top:bottom, left:right] = 128
        return image
