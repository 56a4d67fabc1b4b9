"""Stochastic skip on B0: two branches of five blocks, joined after stage 3.

    python train.py --config=configs/skip_b0.py --workdir=runs/skip_b0

Published validation AUC on ISIC 2016-2020 (best epoch, 2 runs): 0.9563 +- 0.0010.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base


def get_config(data: str = "synthetic") -> ConfigDict:
    """Returns the config for "synthetic" or "folder" data, locked."""
    config = base.get_config(data)
    config.model.branches = ("global", "stochastic")
    config.model.placement = "independent"
    config.model.join = "3"
    return config.lock()
