"""What is it worth to copy rows before they are split? Sainadh 2023, table 4, at a small scale.

    python -m stochconv_jax.study --config=configs/studies/leak.py --workdir=runs/leak
    python -m benchmarks.leak runs/leak

On images prepared as `papers/skin_lesions.py` says, seen at 32x32. `published` draws 1,000 rows of
each class and then splits them by row; `lesions_first` splits by lesion and draws classes equally
in training alone. Both train for the same number of steps, without augmentation; docs/papers.md
tells why.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs.papers import skin_lesions
from stochconv_jax.configs.studies.base import make_study

# 1,400 rows of about 200 a class test in the paper's table 7: a fifth of these.
ROWS = 1000


def short_training(argument: str) -> ConfigDict:
    """Returns `papers/skin_lesions.py` at 32x32 for 900 steps, which optimizers.py shares."""
    config = skin_lesions.get_config(argument).unlock()
    config.data.low_size = (32, 32)
    config.train.schedule = "cosine"
    config.train.epochs = 1
    config.train.steps_per_epoch = 900
    config.eval.checkpoint = "latest"
    config.eval.batch_size = 100
    config.eval.resamples = 20  # of the report; what the studies compare has other intervals
    return config.lock()


def get_config() -> ConfigDict:
    """Returns the study, locked."""
    networks = {
        "receptive_cnn": {},
        "resnet18": {"backbone": "resnet18", "dropout_rate": 0.0},
    }
    protocols = {"published": {"oversample_before_split": ROWS}, "lesions_first": {}}
    models: dict[str, dict] = {
        f"{network}_{protocol}": {"model": model, "data": data}
        for network, model in networks.items()
        for protocol, data in protocols.items()
    }
    return make_study(short_training("receptive_cnn,plain"), models, seeds=(0, 1, 2))
