"""The small image: the large one, each pixel the mean of an area."""

import cv2
import numpy as np


def shrink(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes to a smaller (height, width), each pixel the mean of its area: no aliasing.

    Args:
      image: uint8 [H, W, 3], or [H, W, 4], whose fourth channel is left out; or [H, W].
      size: of the small image, (height, width).

    Returns:
      uint8 [height, width, 3], or [height, width].
    """
    height, width = image.shape[:2]
    # Halving is many times faster than other factors, and leaves less for them to do.
    while height >= 4 * size[0] and width >= 4 * size[1] and not (height % 2 or width % 2):
        height, width = height // 2, width // 2
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    if image.shape[2:] == (4,):
        image = cv2.cvtColor(image, cv2.COLOR_RGBA2RGB)
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
