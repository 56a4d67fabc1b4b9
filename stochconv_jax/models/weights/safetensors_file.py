"""Safetensors: timm's files, with what the repository says beside them, and our own."""

import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from stochconv_jax.atomic_write import atomic_write
from stochconv_jax.errors import InputError
from stochconv_jax.models.backbone import PIXELS
from stochconv_jax.models.weights.weight_file import WeightFile, as_float32, damaged, file_sha256

OURS = "stochconv_jax"
DIGEST = "content_sha256"


def read_safetensors_file(path: pathlib.Path) -> WeightFile:
    """Reads a `.safetensors` file, and timm's config.json where it lies beside it.

    Raises:
      InputError: the file is damaged, or asks for pixels that no config can ask for.
    """
    try:
        # Through Flax's own, since NumPy knows no bfloat16.
        with safe_open(path, framework="flax") as file:
            arrays = {name: np.asarray(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
            about = file.metadata() or {}
    except (SafetensorError, ValueError, OSError) as error:
        raise damaged(path, error) from error
    if about.pop(DIGEST, None) not in (None, _digest(arrays, about)):
        raise damaged(path, "it holds other numbers than were written")
    ours = about.get("format") == OURS
    said = about if ours else _said_by_timm(path)
    return WeightFile(
        path,
        "safetensors",
        "ours" if ours else "torch",
        as_float32(path, arrays),
        file_sha256(path),
        said.get("backbone", ""),
        said.get("pixels", ""),
        said.get("conventions", ""),
        joined=said.get("joined") == "True",
        pixel_mean=_channels(path, said, "pixel_mean"),
        pixel_deviation=_channels(path, said, "pixel_deviation"),
    )


def write_safetensors_file(
    path: pathlib.Path, arrays: Mapping[str, np.ndarray], about: Mapping[str, str]
) -> None:
    """Writes arrays by our own names, with what is known of them and the digest of it all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    about = {"format": OURS, **about}
    about[DIGEST] = _digest(contiguous, about)
    atomic_write(path, save(contiguous, metadata=about))


def _digest(arrays: Mapping[str, np.ndarray], about: Mapping[str, str]) -> str:
    """SHA-256 of what a file holds, since the format would not notice another number in it."""
    digest = hashlib.sha256(json.dumps(sorted(about.items())).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _channels(path: pathlib.Path, said: Mapping[str, str], name: str) -> tuple[float, ...]:
    """Returns what our own files say of the pixels' red, green and blue; () where nothing."""
    try:
        channels = tuple(map(float, json.loads(said.get(name, "[]"))))
    except (ValueError, TypeError, OverflowError) as error:
        raise damaged(path, error) from error
    return channels


def _said_by_timm(path: pathlib.Path) -> dict[str, str]:
    """Returns what the config.json of a repository of timm's says."""
    config = path.with_name("config.json")
    try:
        content: Any = json.loads(config.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise damaged(config, error) from error
    architecture = content.get("architecture", "") if isinstance(content, dict) else ""
    trained = content.get("pretrained_cfg", {}) if architecture else {}
    if not isinstance(architecture, str) or not isinstance(trained, dict):
        raise damaged(config, "architecture or pretrained_cfg is none")
    said = {"backbone": architecture.removeprefix("tf_")}
    if "efficientnet" in architecture:
        said["conventions"] = "tensorflow" if architecture.startswith("tf_") else "pytorch"
    if "mean" in trained and "std" in trained:
        try:
            said["pixels"] = _pixels(config, trained["mean"], trained["std"])
        except InputError:
            raise
        except (TypeError, ValueError, OverflowError) as error:
            raise damaged(config, error) from error
    return said


def _pixels(config: pathlib.Path, mean: list[float], deviation: list[float]) -> str:
    for name, pixels in PIXELS.items():
        if np.shape(mean) == np.shape(deviation) == (3,) and (
            np.allclose(pixels.mean, mean) and np.allclose(pixels.deviation, deviation)
        ):
            return name
    raise InputError(
        f"{config}: the weights want pixels of mean {mean} and deviation {deviation}; known are "
        f"{', '.join(PIXELS)} alone"
    )
