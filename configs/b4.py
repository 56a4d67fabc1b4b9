"""EfficientNet-B4 on a 380x380 image: scaling the plain network instead.

    python train.py --config=configs/b4.py --workdir=runs/b4

Published validation AUC on ISIC 2016-2020 (best epoch, 5 runs): 0.9565 +- 0.0016.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base


def get_config(data: str = "synthetic") -> ConfigDict:
    """Returns the config for "synthetic" or "folder" data, locked."""
    config = base.get_config(data)
    config.model.backbone = "efficientnet_b4"
    config.data.low_size = (380, 380)
    return config.lock()
