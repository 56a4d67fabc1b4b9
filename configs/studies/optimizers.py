"""SGD, RMSprop or Adam for a ResNet-18 from scratch? Sainadh 2023, table 5, at a small scale.

    python -m stochconv_jax.study --config=configs/studies/optimizers.py --workdir=runs/optimizers
    python -m stochconv_jax.compare runs/optimizers/* --reference sgd \
        --output=runs/optimizers/comparison

On images prepared as `papers/skin_lesions.py` says, seen at 32x32, lesions divided before classes
are drawn equally. The rates are that file's, none of them tuned; `sgd` is `resnet18_lesions_first`
of `leak.py`, whose training this is. docs/papers.md has the protocol.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs.papers.skin_lesions import RATES
from stochconv_jax.configs.studies.base import make_study
from stochconv_jax.configs.studies.leak import short_training


def get_config() -> ConfigDict:
    """Returns the study, locked."""
    models: dict[str, dict] = {
        name: {"train": {"optimizer": name, "learning_rate": rate}} for name, rate in RATES.items()
    }
    return make_study(short_training("resnet18,plain"), models, seeds=(0, 1, 2))
