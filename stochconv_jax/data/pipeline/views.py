"""What a network sees of an image: a small one, and the planes of the large one."""

import cv2
import numpy as np

from stochconv_jax.data.pipeline.interpolation import by_opencv
from stochconv_jax.data.pipeline.native import Part, native_views
from stochconv_jax.data.pipeline.scratch import SCRATCH
from stochconv_jax.data.pipeline.shrink import shrink
from stochconv_jax.ops import planes_shape


def empty_views(
    images: int,
    size: tuple[int, int],
    low_size: tuple[int, int],
    strides: tuple[int, int] | None,
    crop_size: tuple[int, int] = (0, 0),
) -> dict[str, np.ndarray]:
    """Returns room for the views of some images, `image_low` and with strides `image_high`.

    Args:
      images: how many.
      size: (height, width) of each.
      low_size: of the small image.
      strides: of the planes.
      crop_size: of the middle that is seen; (0, 0) for the whole.
    """
    views = {"image_low": np.empty((images, *low_size, 3), np.uint8)}
    if strides is not None:
        shape = planes_shape(crop_size if any(crop_size) else size, strides)
        views["image_high"] = np.empty((images, *shape), np.uint8)
    return views


def write_views(
    image: np.ndarray,
    views: dict[str, np.ndarray],
    crop_size: tuple[int, int] = (0, 0),
    to_source: np.ndarray | None = None,
) -> None:
    """Writes what a network sees of one image into its row of `empty_views`.

    Of an image that is cropped, (height, width), both show its middle.

    Args:
      image: uint8 [H, W, 3].
      views: `image_low` [h, w, 3], and `image_high` [sh, sw, 3, H / sh, W / sw] where it is wanted.
      crop_size: (0, 0) for the whole.
      to_source: the map of `interpolate`, for what is seen of that view of the image.
    """
    size = np.array(image.shape[:2])
    crop = np.array(crop_size) if any(crop_size) else size
    part = Part(*map(int, (size - crop) // 2), *map(int, crop))
    if native_views(image, views, part, to_source):
        return
    if to_source is not None:
        image = by_opencv(image, to_source)
    image = image[part.top : part.top + part.height, part.left : part.left + part.width]
    views["image_low"][:] = shrink(image, views["image_low"].shape[:2])
    if "image_high" in views:
        _lay_out(image, views["image_high"])


def derive_views(
    image: np.ndarray,
    low_size: tuple[int, int],
    strides: tuple[int, int] | None,
    crop_size: tuple[int, int] = (0, 0),
) -> dict[str, np.ndarray]:
    """Returns what a network sees of one image: `image_low`, and with strides `image_high`."""
    room = empty_views(1, image.shape[:2], low_size, strides, crop_size)
    views = {name: array[0] for name, array in room.items()}
    write_views(image, views, crop_size)
    return views


def _lay_out(image: np.ndarray, planes: np.ndarray) -> None:
    """Writes `ops.polyphase` of an image's first three channels.

    OpenCV takes channels apart several times faster than NumPy copies every second byte, and the
    columns of a channel that belong to different planes are channels too.
    """
    rows, columns, colors, height, width = planes.shape
    channels = SCRATCH.array("channels", (image.shape[2], height, width * columns))
    for row in range(rows):
        cv2.split(image[row::rows], list(channels))
        for color, channel in enumerate(channels[:colors]):
            cv2.split(channel.reshape(height, width, columns), list(planes[row, :, color]))
