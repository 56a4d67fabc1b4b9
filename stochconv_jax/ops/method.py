"""Which form of an operation runs: the CPU's, the accelerators', or one that is known elsewhere."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any, Literal

from jax import lax

Platform = Literal["auto", "cpu", "elsewhere"]

_portable = contextvars.ContextVar("portable", default=False)


@contextlib.contextmanager
def portable_forms() -> Iterator[None]:
    """Lets "auto" be the plainest form in what is traced within, for formats other than XLA's.

    They cannot choose when the program is lowered.
    """
    token = _portable.set(True)
    try:
        yield
    finally:
        _portable.reset(token)


def is_portable(method: str) -> bool:
    """Returns whether the plainest form of an operation is asked for."""
    return method == "auto" and _portable.get()


def platform_of(method: str, *, cpu: str, elsewhere: str) -> Platform:
    """Returns the platform whose form is called `method`.

    Raises:
      ValueError: it is neither of the two forms nor "auto".
    """
    platforms: dict[str, Platform] = {"auto": "auto", cpu: "cpu", elsewhere: "elsewhere"}
    if method not in platforms:
        raise ValueError(f"method is {method!r}; use one of {', '.join(platforms)}")
    return platforms[method]


def run_form(
    platform: Platform, cpu: Callable[..., Any], elsewhere: Callable[..., Any], *operands: Any
) -> Any:
    """Calls one of the two functions with the operands.

    For "auto" the choice falls when the program is lowered, so that what a CPU exports for an
    accelerator holds the accelerators' form.
    """
    if is_portable(platform):
        return elsewhere(*operands)
    if platform == "auto":
        return lax.platform_dependent(*operands, cpu=cpu, default=elsewhere)
    return (cpu if platform == "cpu" else elsewhere)(*operands)
