"""The quickstart with a network that compiles in seconds, for programs as users start them."""

from ml_collections import ConfigDict
from shallow_efficientnet import NAME

from stochconv_jax.configs import quickstart


def get_config(network: str = "split") -> ConfigDict:
    config = quickstart.get_config(network)
    config.model.backbone = NAME
    return config
