"""Single handwritten digits, those to train with apart from those to test with."""

import gzip
import pathlib
import zlib
from typing import NamedTuple

import cv2
import numpy as np
from sklearn.datasets import load_digits

from stochconv_jax.errors import InputError

MNIST_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
# Of the digits that come with scikit-learn, which have no official division.
TRAINING_SHARE = 2 / 3


class Digits(NamedTuple):
    """Images uint8 [N, side, side], white on black, and their labels int [N] of 0 to 9."""

    images: np.ndarray
    labels: np.ndarray


def small_digits(split: str, side: int) -> Digits:
    """Returns digits of the 1,797 that scikit-learn ships, 8x8 pixels of 17 greys: not MNIST.

    The first two thirds of the file are for training and the rest for testing, unshuffled, so that
    neighbours in the file, which may be of one hand, are not divided.

    Args:
      split: "train" or "test".
      side: in pixels, to which the images are enlarged where it is more than 8.

    Source: Alpaydin and Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI.
    """
    found = load_digits()
    border = round(TRAINING_SHARE * len(found.target))
    part = slice(border) if split == "train" else slice(border, None)
    images = np.round(found.images[part] * (255 / 16)).astype(np.uint8)
    return Digits(_resized(images, side), found.target[part])


def mnist(directory: pathlib.Path, split: str, side: int) -> Digits:
    """Reads MNIST's official files, gzipped or not.

    Raises:
      InputError: a file is missing, or is not what its name says.
    """
    images, labels = (_read_idx(directory, name) for name in MNIST_FILES[split])
    if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
        raise InputError(
            f"{directory} holds images {images.shape} and labels {labels.shape}; "
            "use MNIST's official files"
        )
    return Digits(_resized(images, side), labels.astype(int))


def _read_idx(directory: pathlib.Path, name: str) -> np.ndarray:
    """Reads an idx file of bytes: two zeros, the type 8, the number of axes, their lengths."""
    plain, packed = directory / name, directory / f"{name}.gz"
    if not plain.exists() and not packed.exists():
        raise InputError(f"{plain} is missing, gzipped or not; name the directory that holds it")
    try:
        content = plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{packed} is damaged; fetch it again") from error
    axes = content[3] if content[:3] == b"\0\0\x08" and len(content) > 3 else 0
    whole = axes and len(content) >= 4 + 4 * axes
    shape = np.frombuffer(content, ">u4", axes, 4).astype(int) if whole else np.zeros(1, int)
    if not whole or len(content) != 4 + 4 * axes + shape.prod():
        raise InputError(f"{name} in {directory} is no whole idx file of bytes; fetch it again")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _resized(images: np.ndarray, side: int) -> np.ndarray:
    if images.shape[1] == side:
        return images
    how = cv2.INTER_AREA if side < images.shape[1] else cv2.INTER_CUBIC
    return np.stack([cv2.resize(image, (side, side), interpolation=how) for image in images])
