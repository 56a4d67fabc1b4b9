"""One random view of an image: crop, flips and rotation in a single interpolation."""

import math

import cv2
import numpy as np

# Grain's workers are the parallelism; OpenCV's own threads would fight with them.
cv2.setNumThreads(0)


def augment(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws a resized crop, flips and a rotation, and resamples the image once.

    The crop has 0.6 to 1 of the area and an aspect of 3/4 to 4/3; each flip has probability 1/2;
    the rotation is uniform in +-180 degrees about the crop's centre. What a rotated crop sees
    outside the image is the image mirrored.

    Args:
      image: uint8 [H, W, 3].
      rng: all the randomness; the same state gives the same view.

    Returns:
      uint8 [H, W, 3].

    Source: Reekie 2021, section 4.1.6.
    """
    height, width = image.shape[:2]
    area = rng.uniform(0.6, 1.0) * height * width
    aspect = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3))) * width / height
    crop = np.minimum([math.sqrt(area * aspect), math.sqrt(area / aspect)], [width, height])
    centre = crop / 2 + rng.uniform(size=2) * ([width, height] - crop)
    angle = rng.uniform(-math.pi, math.pi)
    flips = rng.choice([-1, 1], size=2)

    cosine, sine = math.cos(angle), math.sin(angle)
    rotation = np.array([[cosine, -sine], [sine, cosine]])
    to_source = np.diag(flips * crop / [width, height]) @ rotation
    # Pixel centres lie at whole numbers, so the middle of the image lies half a pixel before W / 2.
    middle = np.array([width - 1, height - 1]) / 2
    offset = centre - 0.5 - to_source @ middle
    # OpenCV warps four channels nearly twice as fast as three.
    warped = cv2.warpAffine(
        cv2.cvtColor(image, cv2.COLOR_RGB2RGBA),
        np.column_stack([to_source, offset]),
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB)


def shrink(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes to a smaller (height, width), each pixel the mean of its area: no aliasing."""
    height, width = image.shape[:2]
    # Halving is many times faster than other factors, and leaves less for them to do.
    while height >= 4 * size[0] and width >= 4 * size[1] and not (height % 2 or width % 2):
        height, width = height // 2, width // 2
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
