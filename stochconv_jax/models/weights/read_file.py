"""Which reader a file of weights wants."""

import pathlib

from stochconv_jax.errors import InputError
from stochconv_jax.models.weights.keras_file import read_keras_file
from stochconv_jax.models.weights.safetensors_file import read_safetensors_file
from stochconv_jax.models.weights.torch_file import ZIP, read_torch_file
from stochconv_jax.models.weights.weight_file import WeightFile

HDF5, PICKLE = b"\x89HDF\r\n\x1a\n", b"\x80"


def read_weight_file(path: pathlib.Path) -> WeightFile:
    """Reads Keras's `.h5`, PyTorch's `.pth` or `.safetensors`, told apart by what is in them.

    Raises:
      InputError: there is no such file, or it is none of these, damaged, or wants to run code.
    """
    if not path.is_file():
        raise InputError(f"there are no weights at {path}; give a file of weights")
    with path.open("rb") as file:
        start = file.read(16)
    # The length of safetensors' header comes first, and may begin like a pickle.
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        return read_safetensors_file(path)
    if start.startswith(HDF5):
        return read_keras_file(path)
    if start.startswith((ZIP, PICKLE)):
        return read_torch_file(path)
    raise InputError(
        f"{path} is none of Keras's .h5, PyTorch's .pth and .safetensors; give one of these"
    )
