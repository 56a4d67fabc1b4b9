"""Do random windows help to find referable retinopathy? 560x560 pixels, seen at 112x112.

    python -m stochconv_jax.prepare folder --source RETINAS --label-column referable \
        --group-column patient_id --folds 5 --size 560 --output prepared/retinas
    python -m stochconv_jax.study --config=configs/studies/retinas.py --workdir=runs/retinas
    python -m stochconv_jax.compare runs/retinas/* --reference two_ordinary \
        --output=runs/retinas/comparison

The table's column `referable` is 1 where the grade is 2 or more. Every fold validates once, and the
folds' predictions are pooled. The last epoch is evaluated, whatever validation said of it.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base
from stochconv_jax.configs.studies.base import TWO_BRANCHES, make_study


def get_config() -> ConfigDict:
    """Returns the study, locked."""
    config = base.get_config("prepared")
    config.data.directory = "prepared/retinas"
    config.data.high_size = (560, 560)
    config.data.low_size = (112, 112)
    config.model.backbone = "efficientnet_tiny"
    config.model.batch_norm_momentum = 0.95
    config.train.epochs = 15
    config.train.constant_epochs = 9
    config.train.decay_per_epoch = 0.7
    config.train.batch_size = 16
    config.eval.samples = 16
    config.eval.checkpoint = "latest"
    split = {"branches": TWO_BRANCHES}
    models: dict[str, dict] = {
        "base": {},
        "two_ordinary": {"model": {"branches": ("global", "global")}},
        "split_1": {"model": {**split, "windows": 1}},
        "split_4": {"model": {**split, "windows": 4}},
        "split_16": {"model": {**split, "windows": 16}},
    }
    return make_study(config, models, seeds=(0, 1, 2), folds=5)
