"""Images as planes of every stride-th pixel, the layout that a strided convolution reads best."""

from typing import TypeVar

import jax
import numpy as np

Array = TypeVar("Array", np.ndarray, jax.Array)


def polyphase(images: Array, strides: tuple[int, int]) -> Array:
    """Splits images into the planes that start at each phase of the strides (space to depth).

    planes[..., i, j, c, y, x] = images[..., y * strides[0] + i, x * strides[1] + j, c]

    Args:
      images: [..., H, W, C] of any dtype, NumPy or JAX; NumPy in gives NumPy out.
      strides: (vertical, horizontal), each dividing the image's side.

    Returns:
      [..., strides[0], strides[1], C, H / strides[0], W / strides[1]], same dtype.

    Raises:
      ValueError: a side of the image is not a multiple of its stride.
    """
    *lead, height, width, channels = images.shape
    rows, columns = strides
    if height % rows or width % columns:
        raise ValueError(
            f"images of {height}x{width} do not divide by strides {rows}x{columns}; pad them"
        )
    split = images.reshape(*lead, height // rows, rows, width // columns, columns, channels)
    first = len(lead)
    planes = split.transpose(*range(first), *(first + axis for axis in (1, 3, 4, 0, 2)))
    return np.ascontiguousarray(planes) if isinstance(images, np.ndarray) else planes


def image_size_of(images: Array) -> tuple[int, int]:
    """Temporary."""
    if images.ndim == 6:
        return images.shape[1] * images.shape[4], images.shape[2] * images.shape[5]
    return images.shape[1], images.shape[2]
