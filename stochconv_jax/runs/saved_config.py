"""Reading the JSON files of a run."""

import json
import pathlib
from typing import Any

from ml_collections import ConfigDict

from stochconv_jax.errors import InputError


def read_config(directory: pathlib.Path) -> ConfigDict:
    """Returns the config that a run was made with, locked.

    Raises:
      InputError: the directory is not that of a run, or the file is damaged.
    """
    if directory.exists() and not directory.is_dir():
        raise InputError(f"--workdir {directory} is a file; name a directory")
    path = directory / "config.json"
    if not path.is_file():
        raise InputError(f"{directory} is not the directory of a run; train with train.py first")
    return _config(read_json(path)).lock()


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Reads one of a run's files.

    Raises:
      InputError: it is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; use another --workdir") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is damaged ({error}); use another --workdir") from error


def _config(section: dict[str, Any]) -> ConfigDict:
    """JSON has no tuples, which a config's lists were."""
    return ConfigDict(
        {
            name: _config(value)
            if isinstance(value, dict)
            else tuple(value)
            if isinstance(value, list)
            else value
            for name, value in section.items()
        }
    )
