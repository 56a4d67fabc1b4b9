"""The backbones by their names, and as weights of others want them."""

import dataclasses
from typing import Any

from stochconv_jax.errors import InputError
from stochconv_jax.models.backbone import PIXELS, Backbone
from stochconv_jax.models.efficientnet import EFFICIENTNETS
from stochconv_jax.models.receptive_cnn import RECEPTIVE_CNNS
from stochconv_jax.models.resnest import RESNESTS
from stochconv_jax.models.resnet import RESNETS
from stochconv_jax.models.six_conv_cnn import SIX_CONV_CNNS

BACKBONES: dict[str, Backbone] = {
    **EFFICIENTNETS,
    **RESNETS,
    **RESNESTS,
    **RECEPTIVE_CNNS,
    **SIX_CONV_CNNS,
}

CONVENTIONS: dict[str, dict[str, Any]] = {
    "tensorflow": {"padding": "SAME", "batch_norm_epsilon": 1e-3},
    "pytorch": {"padding": "SYMMETRIC", "batch_norm_epsilon": 1e-5},
}
# The backbone's own; before a run begins, "auto" is what the weights were trained with.
OWN = ("auto", "backbone")


def make_backbone(name: str, pixels: str = "backbone", conventions: str = "backbone") -> Backbone:
    """Returns the backbone of a name, with the pixels and conventions that weights of it want.

    Args:
      name: one of BACKBONES.
      pixels: "imagenet", "half" (x / 255 - 0.5) / 0.5, "unit" x / 255, or "backbone".
      conventions: "tensorflow" ("SAME" padding, epsilon 1e-3), "pytorch" (symmetric padding, 1e-5),
        or "backbone".

    Raises:
      InputError: there is none of that name.
    """
    if name not in BACKBONES:
        raise InputError(f"model.backbone is {name!r}; use one of {', '.join(BACKBONES)}")
    backbone: Any = BACKBONES[name]
    replaced: dict[str, Any] = {}
    if pixels not in OWN:
        replaced["pixels"] = _known("model.pixels", pixels, PIXELS)
    if conventions not in OWN:
        replaced |= _known("model.conventions", conventions, CONVENTIONS)
    return dataclasses.replace(backbone, **replaced)


def _known(field: str, value: str, known: dict[str, Any]) -> Any:
    if value not in known:
        raise InputError(f"{field} is {value!r}; use one of {', '.join([*OWN, *known])}")
    return known[value]
