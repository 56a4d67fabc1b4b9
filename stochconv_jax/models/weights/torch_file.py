"""PyTorch's checkpoints, read without executing what stands in them."""

import pathlib
import pickle
import zipfile
from collections.abc import Mapping
from typing import Any

from stochconv_jax.claimed_size import can_hold
from stochconv_jax.errors import InputError
from stochconv_jax.models.weights.weight_file import WeightFile, as_float32, damaged, file_sha256

# How the archives of torch.save begin.
ZIP = b"PK\x03\x04"
# Under which training programs keep a network among other things.
WRAPPERS = ("state_dict", "model_state_dict", "model")


def read_torch_file(path: pathlib.Path) -> WeightFile:
    """Reads a `.pth` or `.pt` file with `torch.load(weights_only=True)`.

    Raises:
      InputError: PyTorch is not installed, or the file is damaged, holds no tensors, or wants to
        run code.
    """
    try:
        import torch
    except ImportError as error:
        raise InputError(
            f"{path} is a PyTorch file, and PyTorch is not installed; install the extra `weights`, "
            'as in pip install "stochconv_jax[weights]", or get the weights as .safetensors'
        ) from error
    _check_whole(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "GLOBAL" in str(error) or "not allowed" in str(error) or "Unsupported" in str(error):
            raise InputError(
                f"{path} holds more than weights: reading it would run code, so it is refused; "
                "get the weights as .safetensors, or as a file of tensors alone"
            ) from error
        raise damaged(path, error) from error
    except Exception as error:  # damaged bytes lead the unpickler into errors of any kind
        raise damaged(path, error) from error
    tensors = _tensors(content, torch.Tensor)
    if not tensors:
        raise InputError(f"{path} holds no tensors by name; give a file of a network's weights")
    for name, tensor in tensors.items():
        # One number may be told to stand for any many, by a stride of 0.
        if not can_hold(path, tensor.numel() * tensor.element_size(), deflated=True):
            raise damaged(path, f"{name} is said to be larger than the file")
    try:
        arrays = {name: tensor.detach().float().numpy() for name, tensor in tensors.items()}
    except (TypeError, RuntimeError) as error:  # sparse ones, and ones that are described alone
        raise damaged(path, error) from error
    return WeightFile(path, "PyTorch", "torch", as_float32(path, arrays), file_sha256(path))


def _check_whole(path: pathlib.Path) -> None:
    """Compares what an archive holds with its checksums, at which `torch.load` does not look."""
    with path.open("rb") as file:
        if file.read(len(ZIP)) != ZIP:
            return
    try:
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
    except Exception as error:  # damaged bytes lead to errors of any kind here as well
        raise damaged(path, error) from error
    if wrong:
        raise damaged(path, f"{wrong} is not what its checksum says")


def _tensors(content: Any, kind: type) -> dict[str, Any]:
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        return {}
    found = {str(name): value for name, value in content.items() if isinstance(value, kind)}
    # What DataParallel puts before every name.
    if all(name.startswith("module.") for name in found):
        found = {name.removeprefix("module."): value for name, value in found.items()}
    return found
