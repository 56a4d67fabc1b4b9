"""EfficientNet-B0 on the small image: the paper's baseline.

    python train.py --config=configs/b0.py --workdir=runs/b0

Published validation AUC on ISIC 2016-2020 (best epoch, 14 runs): 0.9566 +- 0.0011.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base


def get_config(data: str = "synthetic") -> ConfigDict:
    """Returns the config for "synthetic" or "folder" data, locked."""
    config = base.get_config(data)
    return config.lock()
