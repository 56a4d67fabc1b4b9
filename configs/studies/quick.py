"""The paper's networks and their controls in small, on synthetic lesions: 90 minutes on two cores.

    python -m stochconv_jax.study --config=configs/studies/quick.py --workdir=runs/quick
    python -m stochconv_jax.compare runs/quick/* --reference two_ordinary \
        --output=runs/quick/comparison

1,000 training images of 256x256, seen small at 56x56, where nothing tells the classes apart; the
checkpoint is chosen on 200 more and judged on 800 others.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base
from stochconv_jax.configs.studies.base import TWO_BRANCHES, make_study


def get_config() -> ConfigDict:
    """Returns the study, locked."""
    config = base.get_config()
    config.data.synthetic_count = 2000
    config.data.high_size = (256, 256)
    config.data.low_size = (56, 56)
    config.data.validation_fraction = 0.1
    config.data.test_fraction = 0.4
    config.model.backbone = "efficientnet_tiny"
    config.model.batch_norm_momentum = 0.95
    config.model.placement = "independent"
    config.train.epochs = 12
    config.train.constant_epochs = 7
    config.train.decay_per_epoch = 0.7
    config.train.batch_size = 16
    config.eval.samples = 16
    config.eval.split = "test"
    config.eval.batch_size = 50
    return make_study(config, _models(), seeds=(0, 1, 2))


def _models() -> dict[str, dict]:
    split = {"branches": TWO_BRANCHES}
    models: dict[str, dict] = {
        "base": {},
        "base_stem32": {"model": {"stem_features": 32}},  # width-matched, twice the stem
        "two_ordinary": {"model": {"branches": ("global", "global")}},
        "stem": {"model": {**split, "join": "stem"}},
        "skip": {"model": {**split, "join": "3"}},
    }
    for windows in (1, 2, 4, 8, 16):
        models[f"split_{windows}"] = {"model": {**split, "windows": windows}}
    return models | {
        "split_16_per_batch": {"model": {**split, "windows": 16, "per_image": False}},
        "split_16_diagonal": {"model": {**split, "windows": 16, "axes": "diagonal"}},
        "pure_16": {"model": {"branches": ("stochastic",), "windows": 16}},
        "full_resolution": {"data": {"low_size": (256, 256)}},
    }
