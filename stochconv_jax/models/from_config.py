"""From a config to a network."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from ml_collections import ConfigDict

from stochconv_jax.errors import InputError
from stochconv_jax.models.efficientnet import BACKBONES
from stochconv_jax.models.two_branch import TwoBranchNetwork, create_model
from stochconv_jax.ops import window_size


def model_from_config(
    config: ConfigDict, num_outputs: int, abstract: bool = False
) -> TwoBranchNetwork:
    """Builds the network that a config describes.

    Args:
      config: a whole config.
      num_outputs: logits an image.
      abstract: shapes only, for restoring a checkpoint into.

    Raises:
      InputError: a field is not usable.
    """
    if config.model.backbone not in BACKBONES:
        raise InputError(
            f"model.backbone is {config.model.backbone!r}; use one of {', '.join(BACKBONES)}"
        )
    backbone = BACKBONES[config.model.backbone]
    arguments = _arguments(config)
    if "stochastic" in config.model.branches:
        _check_window(config, arguments["output_size"])

    def build() -> TwoBranchNetwork:
        return TwoBranchNetwork(backbone, num_outputs=num_outputs, rngs=nnx.Rngs(0), **arguments)

    try:
        shapes = nnx.eval_shape(build)
    except ValueError as error:
        raise InputError(f"the fields of config.model do not make a network: {error}") from error
    if abstract:
        return shapes
    return create_model(backbone, seed=config.seed, num_outputs=num_outputs, **arguments)


def _arguments(config: ConfigDict) -> dict[str, Any]:
    model = config.model
    dtypes = {
        "float32": jnp.float32,
        "bfloat16": jnp.bfloat16,
        "auto": jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16,
    }
    if model.compute_dtype not in dtypes:
        raise InputError(
            f"model.compute_dtype is {model.compute_dtype!r}; use one of {', '.join(dtypes)}"
        )
    strides = BACKBONES[model.backbone].stem_strides
    return {
        "branches": tuple(model.branches),
        "join": model.join,
        "output_size": tuple(
            -(-size // stride) for size, stride in zip(config.data.low_size, strides, strict=True)
        ),
        "stem_features": model.stem_features,
        "windows": model.windows,
        "per_image": model.per_image,
        "axes": model.axes,
        "dropout_rate": model.dropout_rate,
        "batch_norm_momentum": model.batch_norm_momentum,
        "remat": model.remat,
        "dtype": dtypes[model.compute_dtype],
    }


def _check_window(config: ConfigDict, output_size: tuple[int, int]) -> None:
    backbone = BACKBONES[config.model.backbone]
    window = window_size(output_size, backbone.stem_kernel_size, backbone.stem_strides)
    high, low = config.data.high_size, config.data.low_size
    if window[0] > high[0] or window[1] > high[1]:
        raise InputError(
            f"a window of {window[0]}x{window[1]} pixels, for data.low_size {low[0]}x{low[1]}, is "
            f"larger than data.high_size {high[0]}x{high[1]}; make low_size smaller"
        )
