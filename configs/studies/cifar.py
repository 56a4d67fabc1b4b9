"""How far do ImageNet's weights carry on CIFAR-10? Song 2020, section 4.1, at a small scale.

    python -m stochconv_jax.prepare cifar --source CIFAR --classes 10 --size 64 \
        --output prepared/cifar10_64
    python -m stochconv_jax.study --config=configs/studies/cifar.py --workdir=runs/cifar
    python -m stochconv_jax.compare runs/cifar/* --reference scratch --output=runs/cifar/comparison

EfficientNet-Lite0 at 64x64, once from ImageNet's weights (`make weights`) and once from scratch, by
the recipe of `configs/finetune.py`, images flipped and no more; the official test images judge the
last epoch, whatever validation said of it. As many steps for any part of CIFAR-10.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import finetune
from stochconv_jax.configs.studies.base import make_study


def get_config() -> ConfigDict:
    """Returns the study, locked."""
    config = finetune.get_config("prepared")
    config.data.directory = "prepared/cifar10_64"
    config.data.high_size = config.data.low_size = (64, 64)
    config.data.augment.crop_area = config.data.augment.crop_aspect = (1.0, 1.0)
    config.data.augment.rotation = 0.0
    config.train.batch_size = 32
    config.train.epochs = 4
    config.train.steps_per_epoch = 120
    config.eval.split = "test"
    config.eval.checkpoint = "latest"
    config.eval.batch_size = 100
    config.eval.resamples = 100
    models: dict[str, dict] = {"finetuned": {}, "scratch": {"model": {"weights": ""}}}
    return make_study(config, models, seeds=(0, 1, 2))
