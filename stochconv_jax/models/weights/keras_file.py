"""Keras's files of weights: the older `.h5` and Keras 3's `.weights.h5`."""

import math
import pathlib
from typing import Any

import h5py
import numpy as np

from stochconv_jax.claimed_size import can_hold
from stochconv_jax.errors import InputError
from stochconv_jax.models.weights.weight_file import WeightFile, as_float32, damaged, file_sha256

# Keras 3 numbers a layer's variables, in this order.
NORMALISATION = ("gamma", "beta", "moving_mean", "moving_variance")
OTHERS = ("kernel", "bias")


def read_keras_file(path: pathlib.Path) -> WeightFile:
    """Reads the weights of a Keras network as LAYER/VARIABLE.

    Raises:
      InputError: the file is damaged, names no layers, or has arrays that lie in other files.
    """
    try:
        with h5py.File(path) as file:
            arrays = _by_number(file) if "layers" in file else _by_name(file)
    except InputError:
        raise
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise damaged(path, error) from error
    if not arrays:
        raise InputError(f"{path} holds no layers of a Keras network; save them by save_weights")
    return WeightFile(path, "Keras", "keras", as_float32(path, arrays), file_sha256(path))


def _by_number(file: h5py.File) -> dict[str, np.ndarray]:
    """Reads layers/CLASS_N/vars/I, whose attribute `name` is the layer's own."""
    found: dict[str, np.ndarray] = {}
    for group in file["layers"].values():
        variables = group["vars"]
        name = variables.attrs.get("name", group.name.rpartition("/")[2])
        words = NORMALISATION if len(variables) == len(NORMALISATION) else OTHERS
        for number, array in variables.items():
            place = int(number)
            word = words[place] if place < len(words) else number
            found[f"{name}/{word}"] = _read(file, array)
    return found


def _by_name(file: h5py.File) -> dict[str, np.ndarray]:
    """Reads LAYER/.../VARIABLE:0, in the whole model's file below model_weights."""
    found: dict[str, np.ndarray] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            layer, variable = name.partition("/")[0], name.rpartition("/")[2].partition(":")[0]
            word = "kernel" if variable == "depthwise_kernel" else variable
            found[f"{layer}/{word}"] = _read(file, item)

    file.get("model_weights", file).visititems(visit)
    return found


def _read(file: h5py.File, array: h5py.Dataset) -> np.ndarray:
    """Reads an array that lies in the file itself; HDF5 can link to any other."""
    if array.file.filename != file.filename or array.external or array.is_virtual:
        raise InputError(
            f"{file.filename} leads to another file for its arrays; give one file that holds them"
        )
    claimed = math.prod(array.shape or ()) * array.dtype.itemsize
    deflated = array.compression is not None
    if not can_hold(pathlib.Path(file.filename), claimed, deflated=deflated):
        raise ValueError(f"{array.name} is said to be larger than the file")
    return array[()]
