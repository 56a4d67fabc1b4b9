"""Networks that see the whole image small and random windows of it at full detail."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stochconv_jax.errors import InputError
    from stochconv_jax.models import BACKBONES, TwoBranchNetwork, create_model
    from stochconv_jax.ops import (
        depthwise_conv,
        polyphase,
        sample_windows,
        stochastic_conv,
        stochastic_conv_polyphase,
        window_size,
    )
    from stochconv_jax.prediction.predictor import load_run

__version__ = "0.1.0"

__all__ = [
    "BACKBONES",
    "InputError",
    "TwoBranchNetwork",
    "__version__",
    "create_model",
    "depthwise_conv",
    "load_run",
    "polyphase",
    "sample_windows",
    "stochastic_conv",
    "stochastic_conv_polyphase",
    "window_size",
]

_MODELS = ("BACKBONES", "TwoBranchNetwork", "create_model")
_ELSEWHERE = {"InputError": "errors", "load_run": "prediction.predictor"}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that a command's help need not wait."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "models" if name in _MODELS else _ELSEWHERE.get(name, "ops")
    value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
