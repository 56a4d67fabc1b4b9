"""EfficientNet-B0 with 64 kernels in its stem: the paper's control for width.

    python train.py --config=configs/b0_stem64.py --workdir=runs/b0_stem64

Published validation AUC on ISIC 2016-2020 (best epoch, 5 runs): 0.9576 +- 0.0012.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base


def get_config(data: str = "synthetic") -> ConfigDict:
    """Returns the config for "synthetic" or "folder" data, locked."""
    config = base.get_config(data)
    config.model.stem_features = 64
    return config.lock()
