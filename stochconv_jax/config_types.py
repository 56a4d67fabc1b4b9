"""Whether a config has every field of configs/base.py, each of its type."""

import math
import sys
from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict

from stochconv_jax.configs import base
from stochconv_jax.errors import InputError

# What NumPy and scikit-learn take for a seed; of all else there is less.
_LARGEST = 2**32 - 1
_MISSING = object()
_WORDS = {
    bool: "True or False",
    int: f"a whole number of at most {_LARGEST}",
    float: "a finite number",
    str: "a text",
    tuple: (
        f"finite numbers, whole ones of at most {_LARGEST}, or texts in brackets, such as (1, 2)"
    ),
    ConfigDict: "a section with fields of its own",
}


def check_types(config: ConfigDict) -> None:
    """Checks that a config has the fields of configs/base.py, and that each holds what it should.

    Fields of its own are left alone.

    Raises:
      InputError: a field is missing, or is of another type than its default or not finite.
    """
    for field, value, default in _pairs(config, base.get_config()):
        if value is _MISSING:
            raise InputError(f"the config has no {field}; begin it with base.get_config()")
        if not _is_like(value, default):
            found = "a section" if isinstance(value, ConfigDict) else repr(value)
            raise InputError(f"{field} is {found}; it must be {_WORDS[type(default)]}")


def _pairs(
    config: ConfigDict, defaults: ConfigDict, section: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Yields each field's whole name, its value, _MISSING where there is none, and its default."""
    for name, default in defaults.items():
        value = config.get(name, _MISSING)
        yield section + name, value, default
        if isinstance(default, ConfigDict):
            yield from _pairs(value, default, f"{section}{name}.")


def _is_like(value: Any, default: Any) -> bool:
    if isinstance(default, bool | str | ConfigDict):
        return isinstance(value, type(default))
    if isinstance(default, tuple):
        return isinstance(value, tuple) and _is_plain(value)
    if isinstance(value, bool):
        return False
    if isinstance(default, int):
        return isinstance(value, int) and abs(value) <= _LARGEST
    # A whole number may be too large for a float, of which math.isfinite would ask.
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


def _is_plain(value: Any) -> bool:
    """Returns whether a tuple holds finite numbers, texts and such tuples alone."""
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) <= _LARGEST
    return isinstance(value, str)
