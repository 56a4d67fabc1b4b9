"""Do random windows help where people judge what is lost when a photograph is shrunk?

    python -m stochconv_jax.prepare folder --source LIVEC --group-column group --split-column fold \
        --size 288 --near-duplicate-distance -1 --output prepared/livec_quality
    python -m stochconv_jax.study --config=configs/studies/quality.py:livec --workdir=runs/livec
    python -m stochconv_jax.compare runs/livec/* --reference two_ordinary_36 \
        --output=runs/livec/comparison

`livec` asks whether a photograph is rated good (288x288), `polyu` (256x256, prepared likewise as
prepared/polyu_noise) whether it was taken at high ISO. EfficientNet-Lite0 from ImageNet's weights
(`make weights`); the small image is the large one shrunk by 8, a window is as large as it, and all
kernels of a draw share one, since kernels that were trained together want to look at one place.

After the data's name stands which part of the study it is: nothing for five seeds, `_by4` for the
image shrunk by 4, three seeds; `_plain` for plain networks up to the full resolution, one seed;
`_pooled` for pooled draws, three seeds; `_scratch` for a small network without ImageNet's weights.

Every fold validates once, and the folds' predictions are pooled. The last epoch is evaluated,
whatever validation said of it. Nothing is interpolated in training, which would take away the very
detail: images are flipped, no more.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

from ml_collections import ConfigDict

from stochconv_jax.configs import finetune
from stochconv_jax.configs.studies.base import TWO_BRANCHES, make_study
from stochconv_jax.errors import InputError

SIDES = {"livec": 288, "polyu": 256}
DIRECTORIES = {"livec": "prepared/livec_quality", "polyu": "prepared/polyu_noise"}
TWO_ORDINARY = {"branches": ("global", "global")}
SPLIT = {"branches": TWO_BRANCHES, "windows": 1}


class _Part(NamedTuple):
    seeds: int
    models: Callable[[int], dict[str, dict]]


def get_config(argument: str = "livec") -> ConfigDict:
    """Returns the study on "livec" or "polyu", or a part of it such as "livec_by4", locked."""
    name, _, part = argument.partition("_")
    if name not in SIDES or part not in PARTS:
        after = ", ".join(f"_{part}" for part in PARTS if part)
        raise InputError(
            f"the study has no data {argument!r}; write {' or '.join(SIDES)}, and after it nothing "
            f"or one of {after}"
        )
    config = finetune.get_config("prepared")
    config.data.directory = DIRECTORIES[name]
    config.data.high_size = (SIDES[name], SIDES[name])
    config.data.augment.crop_area = config.data.augment.crop_aspect = (1.0, 1.0)
    config.data.augment.rotation = 0.0
    config.model.placement = "even"
    config.train.epochs = 5
    config.train.steps_per_epoch = 32  # about a pass, and the same in every fold
    config.eval.checkpoint = "latest"
    config.eval.samples = 16
    config.eval.batch_size = 64
    config.eval.resamples = 100
    if part == "scratch":
        config.model.backbone = "efficientnet_tiny"
        config.model.weights = ""
        config.train.epochs = 20
    models = PARTS[part].models(SIDES[name])
    return make_study(config, models, seeds=tuple(range(PARTS[part].seeds)), folds=4)


def _shrunk(side: int, by: int) -> dict:
    return {"low_size": (side // by, side // by)}


def _against_two_ordinary(side: int, by: int) -> dict[str, dict]:
    seen, low = _shrunk(side, by), side // by
    return {
        f"two_ordinary_{low}": {"data": seen, "model": TWO_ORDINARY},
        f"split_{low}": {"data": seen, "model": SPLIT},
    }


def _plain(side: int) -> dict[str, dict]:
    return {f"base_{side // by}": {"data": _shrunk(side, by)} for by in (8, 4, 2, 1)}


def _pooled(side: int) -> dict[str, dict]:
    seen = _shrunk(side, 8)
    mean = SPLIT | {"pooled_draws": 4}
    return {
        "mean_of_4": {"data": seen, "model": mean},
        "attention_over_4": {"data": seen, "model": mean | {"draw_pooling": "attention"}},
    }


def _scratch(side: int) -> dict[str, dict]:
    seen = {"data": _shrunk(side, 4)}
    return {
        "two_ordinary": seen | {"model": TWO_ORDINARY},
        "split_1": seen | {"model": SPLIT},
        "split_16": seen | {"model": SPLIT | {"windows": 16}},
    }


PARTS = {
    "": _Part(5, functools.partial(_against_two_ordinary, by=8)),
    "by4": _Part(3, functools.partial(_against_two_ordinary, by=4)),
    "plain": _Part(1, _plain),
    "pooled": _Part(3, _pooled),
    "scratch": _Part(3, _scratch),
}
