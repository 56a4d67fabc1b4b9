"""Numbers in JSON, which cannot hold all of them."""

import math
import sys
from typing import Any


def is_number(value: Any) -> bool:
    """Returns whether a value of JSON is a finite number, as a float as well."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def without_nan(value: Any) -> Any:
    """Returns a tree of JSON with null for every number that is NaN or infinite."""
    if isinstance(value, dict):
        return {name: without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
