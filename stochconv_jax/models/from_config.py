"""From a config to a network."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from stochconv_jax.config_limits import large_size
from stochconv_jax.errors import InputError
from stochconv_jax.models.backbone import Backbone, stem_output_size
from stochconv_jax.models.creation import create_model, model_in_shapes
from stochconv_jax.models.families import DATASET, make_backbone
from stochconv_jax.models.two_branch import TwoBranchNetwork
from stochconv_jax.ops import window_size

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def model_from_config(
    config: ConfigDict, num_outputs: int, abstract: bool = False, metadata_inputs: int = 1
) -> TwoBranchNetwork:
    """Builds the network that a config describes.

    Args:
      config: a whole config.
      num_outputs: logits per image.
      abstract: shapes only, for restoring a checkpoint into; the same object for the same network,
        so that what is compiled for it serves all its runs. It is not to be changed.
      metadata_inputs: numbers that a metadata branch is given, which the training split decides.

    Raises:
      InputError: a field is not usable.
    """
    backbone = backbone_from_config(config)
    arguments = _arguments(config, backbone) | {"metadata_inputs": metadata_inputs}
    if "stochastic" in config.model.branches:
        _check_window(config, backbone, arguments["output_size"])

    try:
        shapes = _shapes(backbone, num_outputs, tuple(arguments.items()))
    except ValueError as error:
        raise InputError(f"the fields of config.model do not make a network: {error}") from error
    if abstract:
        return shapes
    if config.model.pixels == DATASET and not config.model.pixel_mean:
        raise InputError(
            "model.pixels is 'dataset' and nothing has been measured; begin a run, or set "
            "model.pixel_mean and model.pixel_deviation"
        )
    return create_model(backbone, seed=config.seed, num_outputs=num_outputs, **arguments)


@functools.lru_cache(maxsize=8)
def _shapes(
    backbone: Backbone, num_outputs: int, arguments: tuple[tuple[str, Any], ...]
) -> TwoBranchNetwork:
    return model_in_shapes(backbone, num_outputs=num_outputs, **dict(arguments))


def backbone_from_config(config: ConfigDict) -> Backbone:
    """Returns the backbone that a config names, with the pixels and the conventions it asks for.

    Raises:
      InputError: there is none of that name, or it has no such conventions.
    """
    model = config.model
    return make_backbone(
        model.backbone, model.pixels, model.conventions, model.pixel_mean, model.pixel_deviation
    )


def resolve_dtype(name: str) -> str:
    """Returns the name of the dtype to compute in; "auto" is bfloat16 except on the CPU.

    Raises:
      InputError: it is none of float32, bfloat16 and auto.
    """
    if name == "auto":
        return "float32" if jax.default_backend() == "cpu" else "bfloat16"
    if name not in DTYPES:
        raise InputError(
            f"model.compute_dtype is {name!r}; use one of {', '.join(DTYPES)} and auto"
        )
    return name


def _arguments(config: ConfigDict, backbone: Backbone) -> dict[str, Any]:
    model = config.model
    return {
        "branches": tuple(model.branches),
        "join": model.join,
        "output_size": stem_output_size(backbone, _seen_size(config)),
        "stem_features": model.stem_features,
        "windows": model.windows,
        "per_image": model.per_image,
        "axes": model.axes,
        "placement": model.placement,
        "pooled_draws": model.pooled_draws,
        "draw_pooling": model.draw_pooling,
        "dropout_rate": model.dropout_rate,
        "batch_norm_momentum": model.batch_norm_momentum,
        "remat": model.remat,
        "dtype": DTYPES[resolve_dtype(model.compute_dtype)],
    }


def _seen_size(config: ConfigDict) -> tuple[int, int]:
    """Returns the size of an image that would look as large to the network as a window does."""
    low, window = tuple(config.data.low_size), tuple(config.model.window_size)
    if window in ((0, 0), low):
        return low
    if len(config.model.branches) > 1 and config.model.join != "head":
        raise InputError(
            f"model.window_size is {window} and data.low_size {low}; the branches join at "
            f"{config.model.join!r}, where their maps must be of one size: join at 'head', or "
            "leave model.window_size at (0, 0)"
        )
    return window


def _check_window(config: ConfigDict, backbone: Backbone, output_size: tuple[int, int]) -> None:
    high, seen = large_size(config.data), _seen_size(config)
    name = "data.crop_size" if any(config.data.crop_size) else "data.high_size"
    if any(side % stride for side, stride in zip(high, backbone.stem_strides, strict=True)):
        raise InputError(
            f"{name} is {high[0]}x{high[1]}; its sides must be multiples of the stem's "
            f"strides, {backbone.stem_strides[0]} and {backbone.stem_strides[1]}"
        )
    window = window_size(output_size, backbone.stem_kernel_size, backbone.stem_strides)
    if window[0] > high[0] or window[1] > high[1]:
        raise InputError(
            f"a window of {window[0]}x{window[1]} pixels, as for a small image of "
            f"{seen[0]}x{seen[1]}, is larger than {name} {high[0]}x{high[1]}; make "
            "data.low_size or model.window_size smaller"
        )
