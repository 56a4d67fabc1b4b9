"""ResNeSt-101 on the image, one dense layer on the patient's age, sex and site: one logit.

    python train.py --config=configs/papers/metadata_ensemble2.py --workdir=runs/ensemble2 \
        --config.data.directory=ISIC_2020 --config.model.weights=resnest101.pth

The thesis's larger network is --config.model.backbone=resnest269. Data, training and what differs
from the thesis are those of metadata_ensemble1.py. Source: Mashhadi 2023, section 3.3.8, where the
backbone comes with ImageNet's weights.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs.papers import metadata_ensemble1


def get_config(data: str = "folder") -> ConfigDict:
    """Returns the second ensemble on "folder", "prepared" or "isic", locked."""
    config = metadata_ensemble1.get_config(data).unlock()
    config.model.backbone = "resnest101"
    config.train.backbone_rate = 0.1
    return config.lock()
