"""A file of weights, whatever wrote it."""

import hashlib
import pathlib
from typing import Literal, NamedTuple

import numpy as np

from stochconv_jax.errors import InputError

Layout = Literal["ours", "torch", "keras"]


class WeightFile(NamedTuple):
    """What a file of weights holds and says of itself.

    Attributes:
      path: of the file.
      format: what wrote it, in words.
      layout: how its kernels lie: "torch" is [out, in, kh, kw], "keras" [kh, kw, in, out].
      arrays: by the file's own names, float32.
      sha256: of the file, hexadecimal.
      backbone: name of the network that it is of; "" where the file does not say.
      pixels: "imagenet", "half", "unit" or "dataset", as `model.pixels`; "" where it does not say.
      conventions: "tensorflow" or "pytorch", as `model.conventions`; "" where it does not say.
      joined: whether it is of a network of ours with several branches, its arrays named by their
        places there; others are of a plain network.
      pixel_mean: with "dataset", as `model.pixel_mean`.
      pixel_deviation: likewise.
    """

    path: pathlib.Path
    format: str
    layout: Layout
    arrays: dict[str, np.ndarray]
    sha256: str
    backbone: str = ""
    pixels: str = ""
    conventions: str = ""
    joined: bool = False
    pixel_mean: tuple[float, ...] = ()
    pixel_deviation: tuple[float, ...] = ()


def file_sha256(path: pathlib.Path) -> str:
    """Returns the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def as_float32(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the arrays in float32.

    Raises:
      InputError: one holds no numbers, or numbers that are not finite.
    """
    found = {}
    for name, array in arrays.items():
        try:
            with np.errstate(over="ignore"):
                found[name] = np.asarray(array).astype(np.float32, casting="same_kind")
        except TypeError as error:
            raise InputError(f"{path}: {name} holds no numbers; get the weights anew") from error
        if not np.isfinite(found[name]).all():
            raise InputError(f"{path}: {name} holds NaN or infinity; get the weights anew")
    return found


def damaged(path: pathlib.Path, error: object) -> InputError:
    """Returns the error for a file that cannot be read to its end."""
    words = " ".join(str(error).split()) or type(error).__name__
    return InputError(f"{path} is damaged or cut short ({words[:200]}); get the weights anew")
