"""Bilinear interpolation along an affine map, tile by tile: in C++, or else by OpenCV.

OpenCV interpolates four channels nearly twice as fast as three, and pixels outside an image several
times slower than those inside. A turned row of a large image passes through most of its rows, which
no core's cache holds. So each tile of the view has a copy of what it sees, with four channels, and
mirrored where it looks outside.
"""

from typing import NamedTuple

import cv2
import numpy as np

from stochconv_jax.data.pipeline.native import native_interpolate
from stochconv_jax.data.pipeline.scratch import SCRATCH

# Grain's workers are the parallelism; OpenCV's own threads would fight with them.
cv2.setNumThreads(0)
# Side of a tile, pixels: with four channels it fills a megabyte, as a core's second cache has.
TILE = 512


def interpolate(image: np.ndarray, to_source: np.ndarray) -> np.ndarray:
    """Returns a view of an image; what lies outside the image is the image mirrored.

    view[y, x] = image at to_source @ (x, y, 1), pixel centres at whole numbers

    Args:
      image: uint8 [H, W, 3].
      to_source: float64 [2, 3], from (x, y, 1) in the view to (x, y) in the image.

    Returns:
      uint8 [H, W, 3].
    """
    view = native_interpolate(image, to_source)
    return cv2.cvtColor(by_opencv(image, to_source), cv2.COLOR_RGBA2RGB) if view is None else view


def by_opencv(image: np.ndarray, to_source: np.ndarray) -> np.ndarray:
    """Returns what `interpolate` does, within a grey level, whether C++ was built or not.

    It is uint8 [H, W, 4], whose fourth channel says nothing; this thread's next call overwrites it.
    """
    height, width = image.shape[:2]
    view = SCRATCH.array("view", (height, width, 4))
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            tile = view[top : top + TILE, left : left + TILE]
            size = tile.shape[1], tile.shape[0]
            matrix = to_source.copy()
            matrix[:, 2] += to_source[:, :2] @ (left, top)
            source, origin = _seen(image, matrix, size)
            matrix[:, 2] -= origin
            cv2.warpAffine(
                source,
                matrix,
                size,
                tile,
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REFLECT_101,
            )
    return view


def _seen(
    image: np.ndarray, to_source: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, tuple[int, int]]:
    """Returns what a tile of (width, height) sees, with four channels, and where (x, y) it lies."""
    corners = to_source @ np.array(
        [[0, size[0] - 1, 0, size[0] - 1], [0, 0, size[1] - 1, size[1] - 1], [1, 1, 1, 1]]
    )
    # A pixel more on each side than four neighbours need, for the rounding of float32.
    first = np.floor(corners.min(axis=1)).astype(int) - 1
    last = np.floor(corners.max(axis=1)).astype(int) + 2
    x, y = (
        _Span.of(int(begin), int(end), length)
        for begin, end, length in zip(first, last, image.shape[1::-1], strict=True)
    )
    if x.length * y.length > max(4 * TILE**2, image.size):
        return cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), (0, 0)  # seen from very far
    seen = SCRATCH.array("seen", (y.length, x.length, 4))
    inside = seen[y.before : y.length - y.after, x.before : x.length - x.after]
    cv2.cvtColor(image[y.start : y.stop, x.start : x.stop], cv2.COLOR_RGB2RGBA, inside)
    border = y.before, y.after, x.before, x.after
    if any(border):
        cv2.copyMakeBorder(inside, *border, cv2.BORDER_REFLECT_101, seen)
    return seen, (x.start - x.before, y.start - y.before)


class _Span(NamedTuple):
    """Pixels of one side of an image, [start, stop), with mirrored ones before and after them."""

    start: int
    stop: int
    before: int
    after: int

    @classmethod
    def of(cls, first: int, last: int, side: int) -> "_Span":
        """Returns what is needed to see from `first` to `last`, both included."""
        # What lies outside is mirrored from inside, so that has to be there as well.
        start = max(min(first, 2 * (side - 1) - last), 0)
        stop = min(max(last, -first), side - 1) + 1
        return cls(start, stop, max(-first, 0), max(last - (side - 1), 0))

    @property
    def length(self) -> int:
        return self.before + self.stop - self.start + self.after
