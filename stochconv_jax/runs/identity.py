"""Whether a directory's run is the one that a command means."""

import json
import pathlib
import time
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from stochconv_jax.data.framing import Framing
from stochconv_jax.errors import InputError
from stochconv_jax.hosts.exchange import of_first, together
from stochconv_jax.saved_config import read_config, read_json

# Fields that may change from one command to the next on the same directory: they change no result,
# or say where data lie whose content is told by data.json.
FREE_FIELDS = (
    "eval",
    "train.epochs",
    "train.patience",
    "train.checkpoint_minutes",
    "data.directory",
    "data.origin",
    "data.table",
    "data.image_column",
    "data.workers",
    "data.keep_decoded",
    "data.prepared_directory",
    "data.feedback",
    "data.allow_shared_groups",
    "model.remat",
)

# A shared file system may show a new file later on other hosts.
SHARED_SECONDS = 60.0

# Fields of `model` that a run settles when it begins, and what they are until then.
AUTOMATIC: dict[str, Any] = {
    "compute_dtype": "auto",
    "pixels": "auto",
    "conventions": "auto",
    "pixel_mean": (),
    "pixel_deviation": (),
}


def has_checkpoint(directory: pathlib.Path) -> bool:
    """Returns whether a directory holds a checkpoint, which ties the run to its config and data."""
    return any(path.name.isdigit() for path in (directory / "checkpoints").glob("*"))


def check_config(config: ConfigDict, directory: pathlib.Path) -> None:
    """Compares a config with the one that the checkpoints in a directory were made with, if any.

    Raises:
      InputError: they differ in a field that a run must keep, or it is not a directory.
    """
    if not _read(directory, "config.json"):
        return
    # With the defaults of fields that came into being after it, which may not change either.
    made_with = _as_json(read_config(directory))
    given = _flatten(_as_json(config))
    differences = [
        f"{field} is {value!r} there and {given.get(field)!r} here"
        for field, value in _flatten(made_with).items()
        if not _free(field, config)
        and value != given.get(field)
        # What it once became is what it stays.
        and not _automatic(field, given.get(field))
    ]
    if differences:
        raise InputError(
            f"{directory} was made with another config: {', '.join(differences)}; give its values "
            "or another --workdir"
        )


def check_identity(data: Mapping[str, Any], path: pathlib.Path) -> None:
    """Checks that a file says of a run's images what everything that asks the run needs.

    Args:
      data: the `identity` of a data set, as the file holds it.
      path: of the file.

    Raises:
      InputError: it has not two classes or more of different names, or no whole framing.
    """
    classes: Any = data.get("classes")
    framing = data.get("framing")
    names = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    if not names or len(set(classes)) < max(len(classes), 2) or not isinstance(framing, dict):
        raise InputError(
            f"{path} is damaged (it names no two classes and no framing); bring the run's own"
        )
    try:
        Framing.from_json({"minimum": (1, 1), **framing})
    except InputError as error:
        raise InputError(f"{path}: {error}; bring the run's own") from error


def check_data(data: dict[str, Any], directory: pathlib.Path) -> None:
    """Compares a data set's identity with that of the checkpoints in a directory, if any.

    Raises:
      InputError: the images, their framing, classes or splits are others.
    """
    for name, value in _read(directory, "data.json").items():
        if value != data.get(name):
            raise InputError(
                f"{directory} was trained on other data: {name} is {value!r} there and "
                f"{data.get(name)!r} here; bring the same images, classes and splits, or use "
                "another --workdir"
            )


def check_same(config: ConfigDict, data: dict[str, Any]) -> None:
    """Compares the config and the data set of each process with process 0's.

    Raises:
      InputError: they differ, in every process.
    """
    own = _flatten({"config": _as_json(config), "data": json.loads(json.dumps(data))})
    told = of_first(lambda: own)

    def compare() -> None:
        differing = [name for name in told if told[name] != own.get(name)]
        if differing:
            raise InputError(
                f"it differs from process 0 in {', '.join(differing)}; give every process the same "
                "command, and every host the same images and weights"
            )

    together(compare)


def check_shared(directory: pathlib.Path) -> None:
    """Checks that process 0's files are seen here.

    Raises:
      InputError: they are not.
    """
    until = time.monotonic() + SHARED_SECONDS
    while not (directory / "config.json").exists():
        if time.monotonic() > until:
            raise InputError(
                f"it does not see what process 0 has written into {directory}; --workdir has to "
                "lie where all hosts read and write"
            )
        time.sleep(0.1)


def _automatic(field: str, value: Any) -> bool:
    section, _, name = field.partition(".")
    until = AUTOMATIC.get(name) if section == "model" else None
    return until is not None and value in (until, list(until))


def _free(field: str, config: ConfigDict) -> bool:
    # A cosine ends with the epochs: a longer one would have begun otherwise.
    if field == "train.epochs" and config.train.schedule == "cosine":
        return False
    return any(field == name or field.startswith(f"{name}.") for name in FREE_FIELDS)


def _read(directory: pathlib.Path, name: str) -> dict[str, Any]:
    """Reads a file of a run that has a checkpoint; a run without one may still be changed."""
    if directory.exists() and not directory.is_dir():
        raise InputError(f"--workdir {directory} is a file; name a directory")
    if not has_checkpoint(directory) or not (directory / name).exists():
        return {}
    return read_json(directory / name)


def _as_json(config: ConfigDict) -> dict[str, Any]:
    return json.loads(json.dumps(config.to_dict()))


def _flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
