"""Numbers that JSON cannot hold."""

import math
from typing import Any


def without_nan(value: Any) -> Any:
    """Returns a tree of JSON with null for every number that is NaN or infinite."""
    if isinstance(value, dict):
        return {name: without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
