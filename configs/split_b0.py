"""Full split on B0: two whole backbones joined before the dense layer, the paper's winner.

    python train.py --config=configs/split_b0.py --workdir=runs/split_b0

Published validation AUC on ISIC 2016-2020 (best epoch, 6 runs): 0.9585 +- 0.0009; with 3 samples
averaged (3 runs): 0.9586 +- 0.0016.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base


def get_config(data: str = "synthetic") -> ConfigDict:
    """Returns the config for "synthetic" or "folder" data, locked."""
    config = base.get_config(data)
    config.model.branches = ("global", "stochastic")
    config.model.placement = "independent"
    config.model.join = "head"
    return config.lock()
