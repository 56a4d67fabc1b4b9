"""The backbones by their names, and as weights of others want them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from stochconv_jax.errors import InputError
from stochconv_jax.models.backbone import PIXELS, Backbone, Pixels
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
# The mean and deviation of the images that train; until they are measured, the backbone's own.
DATASET = "dataset"


def make_backbone(
    name: str,
    pixels: str = "backbone",
    conventions: str = "backbone",
    pixel_mean: Sequence[float] = (),
    pixel_deviation: Sequence[float] = (),
) -> Backbone:
    """Returns the backbone of a name, with the pixels and conventions that weights of it want.

    Args:
      name: one of BACKBONES.
      pixels: "imagenet", "half" (x / 255 - 0.5) / 0.5, "unit" x / 255, "dataset" or "backbone".
      conventions: "tensorflow" ("SAME" padding, epsilon 1e-3), "pytorch" (symmetric padding, 1e-5),
        or "backbone".
      pixel_mean: with "dataset", of red, green and blue, 0 to 1; () where it is not known yet.
      pixel_deviation: likewise.

    Raises:
      InputError: there is none of that name.
    """
    if name not in BACKBONES:
        raise InputError(f"model.backbone is {name!r}; use one of {', '.join(BACKBONES)}")
    backbone: Any = BACKBONES[name]
    replaced: dict[str, Any] = {}
    if pixels not in OWN:
        own = backbone.pixels
        measured = Pixels(_three(pixel_mean), _three(pixel_deviation)) if pixel_mean else own
        replaced["pixels"] = _known("model.pixels", pixels, {**PIXELS, DATASET: measured})
    if conventions not in OWN:
        replaced |= _known("model.conventions", conventions, CONVENTIONS)
    return dataclasses.replace(backbone, **replaced)


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = map(float, values)
    return red, green, blue


def _known(field: str, value: str, known: dict[str, Any]) -> Any:
    if value not in known:
        raise InputError(f"{field} is {value!r}; use one of {', '.join([*OWN, *known])}")
    return known[value]
