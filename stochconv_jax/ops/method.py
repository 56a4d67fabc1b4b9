"""Which form of an operation runs: the CPU's or the accelerators'."""

from collections.abc import Callable
from typing import Any, Literal

from jax import lax

Platform = Literal["auto", "cpu", "elsewhere"]


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
    if platform == "auto":
        return lax.platform_dependent(*operands, cpu=cpu, default=elsewhere)
    return (cpu if platform == "cpu" else elsewhere)(*operands)
