"""What are ImageNet weights worth? EfficientNet-Lite0, fine-tuned and from scratch, one recipe.

    make weights
    python -m stochconv_jax.prepare folder --source RETINAS --label-column referable \
        --group-column patient_id --folds 5 --size 144x216 --output prepared/retinas_144
    python -m stochconv_jax.study --config=configs/studies/pretrained.py:retinas \
        --workdir=runs/pretrained_retinas
    python -m stochconv_jax.compare runs/pretrained_retinas/* --reference scratch \
        --output=runs/pretrained_retinas/comparison

With `:ham10000`, seven diagnoses of skin at 144x192, prepared as `ham10000.py` says. The last epoch
is evaluated, whatever validation said of it, so that validation may serve as the test.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import finetune
from stochconv_jax.configs.studies.base import make_study
from stochconv_jax.errors import InputError


def get_config(data: str = "retinas") -> ConfigDict:
    """Returns the study on "retinas" or "ham10000", locked."""
    if data not in ("retinas", "ham10000"):
        raise InputError(f"the study has no data {data!r}; write retinas or ham10000")
    config = finetune.get_config("prepared")
    config.eval.checkpoint = "latest"
    config.eval.batch_size = 64
    if data == "retinas":
        config.data.directory = "prepared/retinas_144"
        config.data.high_size = config.data.low_size = (144, 216)
        config.train.epochs = 8
        config.train.batch_size = 16
    else:
        config.data.directory = "prepared/ham10000"
        config.data.high_size = config.data.low_size = (144, 192)
        config.train.epochs = 2
        config.train.steps_per_epoch = 160
        config.train.batch_size = 32
    models: dict[str, dict] = {"finetuned": {}, "scratch": {"model": {"weights": ""}}}
    return make_study(config, models, seeds=(0, 1, 2), folds=5 if data == "retinas" else 0)
