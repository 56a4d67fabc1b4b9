"""A small split network on 512x512 synthetic lesions: minutes on two cores.

    python train.py --config=configs/quickstart.py --workdir=runs/quickstart
    python train.py --config=configs/quickstart.py:base --workdir=runs/quickstart_base

With `:base`, the same network without its stochastic branch: it cannot see what tells the classes
apart.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base
from stochconv_jax.errors import InputError


def get_config(network: str = "split") -> ConfigDict:
    """Returns the config of the "split" network or of its "base" twin, locked."""
    if network not in ("split", "base"):
        raise InputError(
            f"quickstart has no network {network!r}; write split or base after the colon"
        )
    config = base.get_config()
    config.data.high_size = (512, 512)
    config.data.low_size = (112, 112)
    config.model.backbone = "efficientnet_tiny"
    if network == "split":
        config.model.branches = ("global", "stochastic")
        config.model.windows = 4
    # Hundreds of steps are too few for the published 0.99 and its slow decay of the rate.
    config.model.batch_norm_momentum = 0.95
    config.data.synthetic_count = 1200
    config.train.epochs = 12
    config.train.constant_epochs = 7
    config.train.decay_per_epoch = 0.7
    config.train.batch_size = 16
    config.eval.samples = 4
    return config.lock()
