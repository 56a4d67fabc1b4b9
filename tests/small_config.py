"""The quickstart with networks that compile in seconds, for programs as users start them."""

import toy_family  # noqa: F401, which may be asked for
from ml_collections import ConfigDict
from shallow_efficientnet import TWO_BLOCKS_NAME

from stochconv_jax.configs import quickstart


def get_config(network: str = "split") -> ConfigDict:
    config = quickstart.get_config(network)
    config.model.backbone = TWO_BLOCKS_NAME
    return config
