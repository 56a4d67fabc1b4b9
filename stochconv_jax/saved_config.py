"""Reading the JSON files of a run."""

import json
import pathlib
from typing import Any

from ml_collections import ConfigDict

from stochconv_jax.config_types import check_types
from stochconv_jax.configs import base
from stochconv_jax.errors import InputError

# What config.json says of an exported network, and no run's does.
EXPORTED = "exported_with"


def read_config(directory: pathlib.Path) -> ConfigDict:
    """Returns the config that a run was made with, locked.

    Fields that came into being after the run have their defaults, which leave a run what it was.

    Raises:
      InputError: the directory is not that of a run, or the file is damaged.
    """
    if directory.exists() and not directory.is_dir():
        raise InputError(f"--workdir {directory} is a file; name a directory")
    path = directory / "config.json"
    if not path.is_file():
        raise InputError(f"{directory} is not the directory of a run; train with train.py first")
    fields = read_json(path)
    if EXPORTED in fields:
        raise InputError(
            f"{directory} holds an exported network, which can be asked (predict, explain) and not "
            "trained or evaluated; name the directory of its run, or as weights to start from the "
            "model.safetensors in it"
        )
    try:
        return config_of(fields)
    except InputError as error:
        raise InputError(f"{path} is damaged ({error}); use another --workdir") from error


def config_of(fields: dict[str, Any]) -> ConfigDict:
    """Returns the config that JSON holds, locked, with the defaults of fields that it lacks.

    Raises:
      InputError: a field is of another type than its default.
    """
    config = ConfigDict(_with_tuples(fields))
    model = config.get("model")
    if isinstance(model, ConfigDict) and "placement" not in model:
        model.placement = "independent"  # as all windows were when there was no such field
    _add_missing(config, base.get_config())
    check_types(config)
    return config.lock()


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Reads one of a run's files.

    Raises:
      InputError: it is missing or damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; use another --workdir") from error
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); use another --workdir") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is damaged (it holds no fields); use another --workdir")
    return content


def _with_tuples(value: Any) -> Any:
    """JSON knows no tuples, and a config no lists."""
    if isinstance(value, dict):
        return {name: _with_tuples(item) for name, item in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value


def _add_missing(config: ConfigDict, defaults: ConfigDict) -> None:
    for name, value in defaults.items():
        if name not in config:
            config[name] = value
        elif isinstance(value, ConfigDict) and isinstance(config[name], ConfigDict):
            _add_missing(config[name], value)
