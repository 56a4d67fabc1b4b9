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
    rows, columns, _, down, across = planes_shape((height, width), strides, channels)
    split = images.reshape(*lead, down, rows, across, columns, channels)
    first = len(lead)
    planes = split.transpose(*range(first), *(first + axis for axis in (1, 3, 4, 0, 2)))
    return np.ascontiguousarray(planes) if isinstance(images, np.ndarray) else planes


def images_from_planes(planes: Array) -> Array:
    """Puts the planes of `polyphase` together again.

    Args:
      planes: [..., sh, sw, C, h, w] of any dtype, NumPy or JAX; NumPy in gives NumPy out.

    Returns:
      [..., h * sh, w * sw, C], same dtype.
    """
    *lead, rows, columns, channels, height, width = planes.shape
    first = len(lead)
    pixels = planes.transpose(*range(first), *(first + axis for axis in (3, 0, 4, 1, 2)))
    return pixels.reshape(*lead, height * rows, width * columns, channels)


def planes_shape(
    image_size: tuple[int, int], strides: tuple[int, int], channels: int = 3
) -> tuple[int, int, int, int, int]:
    """Returns the shape of one image's planes.

    Args:
      image_size: (height, width) in pixels.
      strides: (vertical, horizontal), each dividing the image's side.
      channels: of the image.

    Returns:
      (strides[0], strides[1], channels, height / strides[0], width / strides[1]).

    Raises:
      ValueError: a side of the image is not a multiple of its stride.
    """
    (height, width), (rows, columns) = image_size, strides
    if height % rows or width % columns:
        raise ValueError(
            f"images of {height}x{width} do not divide by strides {rows}x{columns}; pad them"
        )
    return rows, columns, channels, height // rows, width // columns


def image_size_of(images_or_planes: np.ndarray | jax.Array) -> tuple[int, int]:
    """Returns the (height, width) in pixels of images [B, H, W, C] or planes [B, sh, sw, C, h, w].

    Raises:
      ValueError: the array has neither four axes nor six.
    """
    shape = images_or_planes.shape
    if len(shape) == 4:
        return shape[1], shape[2]
    if len(shape) == 6:
        return shape[1] * shape[4], shape[2] * shape[5]
    raise ValueError(
        f"the array is {shape}; expected images [B, H, W, C] or planes [B, sh, sw, C, h, w]"
    )
