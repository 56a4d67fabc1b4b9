"""The way of an image to its views in C++, where the installation could build it."""

import ctypes
import functools
import importlib.util
from typing import NamedTuple

import numpy as np

_SIZE, _ARRAY = ctypes.c_int64, ctypes.c_void_p
_ARGUMENTS = {
    "interpolate": (_ARRAY, _SIZE, _SIZE, _ARRAY, _ARRAY),
    "write_views": (*(_ARRAY, _SIZE, _SIZE, _ARRAY), *[_SIZE] * 4, *(_ARRAY, _SIZE, _SIZE) * 2),
}


class Part(NamedTuple):
    """A rectangle of an image or of a view, pixels."""

    top: int
    left: int
    height: int
    width: int


def is_built() -> bool:
    """Returns whether this installation has the way of an image in C++."""
    return _library() is not None


def native_interpolate(image: np.ndarray, to_source: np.ndarray) -> np.ndarray | None:
    """Does what `interpolate` does; returns None where that is not built or has no such image."""
    library = _library()
    if library is None or not _is_known(image):
        return None
    image = np.ascontiguousarray(image)
    view = np.empty_like(image)
    library.interpolate(_at(image), *image.shape[:2], _at(_matrix(to_source)), _at(view))
    return view


def native_views(
    image: np.ndarray, views: dict[str, np.ndarray], part: Part, to_source: np.ndarray | None
) -> bool:
    """Writes what `write_views` writes of a part; returns whether it did.

    It does not where it is not built, nor for images and views that it has no form for.
    """
    library, low, planes = _library(), views["image_low"], views.get("image_high")
    written = [low] if planes is None else [low, planes]
    if (
        library is None
        or not _is_known(image)
        or low.shape[0] > part.height
        or low.shape[1] > part.width
        or not all(array.flags.c_contiguous for array in written)
    ):
        return False
    image = np.ascontiguousarray(image)
    matrix = None if to_source is None else _matrix(to_source)
    of_view = _at(image), *image.shape[:2], None if matrix is None else _at(matrix)
    strides = (1, 1) if planes is None else planes.shape[:2]
    of_planes = None if planes is None else _at(planes), *strides
    library.write_views(*of_view, *part, _at(low), *low.shape[:2], *of_planes)
    return True


@functools.cache
def _library() -> ctypes.CDLL | None:
    found = importlib.util.find_spec("stochconv_jax.data.pipeline._native")
    if found is None or found.origin is None:
        return None
    try:
        library = ctypes.CDLL(found.origin)
        for name, arguments in _ARGUMENTS.items():
            function = getattr(library, name)
            function.argtypes, function.restype = arguments, None
    except (OSError, AttributeError):  # built on another system, or of other sources
        return None
    return library


def _is_known(image: np.ndarray) -> bool:
    """Returns whether places in an image fit into the numbers that they are counted in."""
    sides = image.shape[:2]
    pixels = image.dtype == np.uint8 and image.shape[2:] == (3,)
    return pixels and 2 <= min(sides) <= max(sides) <= 2**14 and image.size < 2**31


def _matrix(to_source: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(to_source, np.float64)


def _at(array: np.ndarray) -> int:
    return array.ctypes.data
