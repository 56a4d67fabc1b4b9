"""Which form of an operation runs."""

import jax


def choose_method(method: str, *, cpu: str, elsewhere: str) -> str:
    """Returns `method`, or for "auto" the form for JAX's default back end.

    Raises:
      ValueError: it is neither of the two forms nor "auto".
    """
    if method == "auto":
        return cpu if jax.default_backend() == "cpu" else elsewhere
    if method not in (cpu, elsewhere):
        raise ValueError(f"method is {method!r}; use one of auto, {cpu}, {elsewhere}")
    return method
