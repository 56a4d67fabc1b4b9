"""Do random windows help on photographs of skin? Seven diagnoses, 144x192 pixels, seen at 36x48.

    python -m stochconv_jax.prepare folder --source HAM10000 --label-column dx \
        --group-column lesion_id --size 144x192 --output prepared/ham10000
    python -m stochconv_jax.study --config=configs/studies/ham10000.py --workdir=runs/ham10000
    python -m stochconv_jax.compare runs/ham10000/* --reference two_ordinary \
        --output=runs/ham10000/comparison

HAM10000 is 10,015 photographs with a table (image, dx, lesion_id); any part of it will do. The last
epoch is evaluated, whatever validation said of it, so that validation may serve as the test.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base
from stochconv_jax.configs.studies.base import TWO_BRANCHES, make_study


def get_config() -> ConfigDict:
    """Returns the study, locked."""
    config = base.get_config("prepared")
    config.data.directory = "prepared/ham10000"
    config.data.high_size = (144, 192)
    config.data.low_size = (36, 48)
    config.model.backbone = "efficientnet_tiny"
    config.model.batch_norm_momentum = 0.95
    config.model.placement = "independent"
    config.train.epochs = 12
    config.train.constant_epochs = 7
    config.train.decay_per_epoch = 0.7
    config.eval.samples = 16
    config.eval.checkpoint = "latest"
    config.eval.batch_size = 64
    split = {"branches": TWO_BRANCHES}
    models: dict[str, dict] = {
        "base": {},
        "two_ordinary": {"model": {"branches": ("global", "global")}},
        "split_1": {"model": {**split, "windows": 1}},
        "split_4": {"model": {**split, "windows": 4}},
        "split_16": {"model": {**split, "windows": 16}},
        "full_resolution": {"data": {"low_size": (144, 192)}},
    }
    return make_study(config, models, seeds=(0, 1, 2))
