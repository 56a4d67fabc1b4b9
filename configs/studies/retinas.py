"""Do random windows help to find referable retinopathy?

    python -m stochconv_jax.prepare folder --source RETINAS --label-column referable \
        --group-column patient_id --folds 5 --size 560 --output prepared/retinas
    python -m stochconv_jax.study --config=configs/studies/retinas.py --workdir=runs/retinas
    python -m stochconv_jax.compare runs/retinas/* --reference two_ordinary \
        --output=runs/retinas/comparison

From scratch, 560x560 pixels seen at 112x112. With `:72` or `:144` after the file, fine-tuned:
EfficientNet-Lite0 from ImageNet's weights (`make weights`), 576x864 pixels (`--size 576x864`, in
prepared/retinas_576) seen at 72x108 or 144x216, with windows as large as that. The table's column
`referable` is 1 where the grade is 2 or more. Every fold validates once, and the folds' predictions
are pooled. The last epoch is evaluated, whatever validation said of it.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base, finetune
from stochconv_jax.configs.studies.base import TWO_BRANCHES, make_study
from stochconv_jax.errors import InputError

TWO_ORDINARY = {"model": {"branches": ("global", "global")}}


def get_config(height: str = "112") -> ConfigDict:
    """Returns the study from scratch, "112", or the fine-tuned one at "72" or "144", locked."""
    if height not in ("112", "72", "144"):
        raise InputError(f"the study has no height {height!r}; write 112, 72 or 144")
    if height == "112":
        models = {"base": {}, "two_ordinary": TWO_ORDINARY, **_splits((1, 4, 16))}
        return make_study(_from_scratch(), models, seeds=(0, 1, 2), folds=5)
    models = {"two_ordinary": TWO_ORDINARY, **_splits((1,))}
    return make_study(_fine_tuned(int(height)), models, seeds=(0, 1, 2), folds=5)


def _from_scratch() -> ConfigDict:
    config = base.get_config("prepared")
    config.data.directory = "prepared/retinas"
    config.data.high_size = (560, 560)
    config.data.low_size = (112, 112)
    config.model.backbone = "efficientnet_tiny"
    config.model.batch_norm_momentum = 0.95
    config.model.placement = "independent"
    config.train.epochs = 15
    config.train.constant_epochs = 9
    config.train.decay_per_epoch = 0.7
    config.train.batch_size = 16
    config.eval.samples = 16
    config.eval.checkpoint = "latest"
    return config


def _fine_tuned(height: int) -> ConfigDict:
    config = finetune.get_config("prepared")
    config.data.directory = "prepared/retinas_576"
    config.data.high_size = (576, 864)
    config.data.low_size = (height, height * 3 // 2)
    config.model.placement = "even"
    config.train.epochs = 8
    config.train.steps_per_epoch = 25  # about a pass, and the same in every fold
    config.eval.samples = 16
    config.eval.checkpoint = "latest"
    config.eval.resamples = 100
    return config


def _splits(windows: tuple[int, ...]) -> dict[str, dict]:
    return {
        f"split_{count}": {"model": {"branches": TWO_BRANCHES, "windows": count}}
        for count in windows
    }
