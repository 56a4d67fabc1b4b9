"""What do age, sex and site tell of a lesion, without its image? ISIC 2020, five folds by patient.

    python -m stochconv_jax.study --config=configs/studies/metadata.py --workdir=runs/metadata \
        --config.base.data.directory=ISIC_2020
    python -m benchmarks.metadata_baseline --directory=ISIC_2020 --workdir=runs/metadata/logistic \
        --seeds=3
    python -m stochconv_jax.compare runs/metadata/* --reference logistic \
        --output=runs/metadata/comparison

ISIC_2020 holds ISIC_2020_Training_GroundTruth_v2.csv, 33,126 rows of 2,056 patients; no image is
read. The dense network is the metadata branch of Mashhadi 2023, with classes weighted as they are
rare, where the thesis repeats malignant images, and unweighted. The baseline is a logistic
regression on the same inputs and folds. The last epoch is evaluated.

With `:images` after the file: what they add to images, EfficientNet-Lite0 from ImageNet's weights
(`make weights`) at 144x144. The table has columns age or age_approx, sex, and site or anatom_site.

    python -m stochconv_jax.prepare folder --source IMAGES --label-column label \
        --group-column patient_id --folds 5 --size 144 --output prepared/isic2020
    python -m stochconv_jax.study --config=configs/studies/metadata.py:images \
        --workdir=runs/metadata_images
    python -m stochconv_jax.compare runs/metadata_images/* --reference image \
        --output=runs/metadata_images/comparison

With `:ensemble`, on the same photographs (`--size 328 --output prepared/isic2020_328`), the
thesis's first ensemble, `papers/metadata_ensemble1.py`, and its image's branch alone, both from
scratch: crops of 266x266, the smallest that its six convolutions take, where the thesis has 416.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base, finetune
from stochconv_jax.configs.papers import metadata_ensemble1
from stochconv_jax.configs.studies.base import make_study
from stochconv_jax.errors import InputError

BOTH = ("global", "metadata")
# 32,542 benign rows and 584 malignant ones.
CLASS_WEIGHTS = (1.0, 55.7)


def get_config(part: str = "table") -> ConfigDict:
    """Returns the study of "table", "images" or "ensemble", locked."""
    parts = {"table": _table, "images": _images, "ensemble": _ensemble}
    if part not in parts:
        raise InputError(f"the study has no part {part!r}; write {', '.join(parts)}")
    return parts[part]()


def _table() -> ConfigDict:
    config = base.get_config("table")
    data = metadata_ensemble1.get_config().data
    for field in ("table", "image_column", "group_column", "numeric_columns", "category_columns"):
        config.data[field] = data[field]
    config.data.folds = 5
    config.model.branches = ("metadata",)
    config.model.dropout_rate = 0.2
    config.model.batch_norm_momentum = 0.9
    config.train.epochs = 5
    config.train.steps_per_epoch = 100  # about a pass, and the same in every fold
    config.train.batch_size = 256
    config.train.optimizer = "adam"
    config.train.learning_rate = 1e-3
    config.train.schedule = "cosine"
    config.eval.checkpoint = "latest"
    config.eval.batch_size = 1024
    config.eval.resamples = 20
    models: dict[str, dict] = {
        "dense": {},
        "dense_weighted": {"train": {"class_weights": CLASS_WEIGHTS}},
    }
    return make_study(config, models, seeds=(0, 1, 2), folds=5)


def _images() -> ConfigDict:
    config = finetune.get_config("prepared")
    config.data.directory = "prepared/isic2020"
    config.data.high_size = config.data.low_size = (144, 144)
    config.data.numeric_columns = ("age",)
    config.data.category_columns = ("sex", "site")
    config.train.epochs = 8
    config.train.steps_per_epoch = 16  # about a pass over four fifths of 340 images
    config.eval.checkpoint = "latest"
    config.eval.resamples = 100
    models: dict[str, dict] = {
        "image": {},
        "metadata": {"model": {"branches": ("metadata",), "weights": ""}},
        "image_and_metadata": {"model": {"branches": BOTH}},
    }
    return make_study(config, models, seeds=(0, 1, 2), folds=5)


def _ensemble() -> ConfigDict:
    config = metadata_ensemble1.get_config("prepared")
    config.data.directory = "prepared/isic2020_328"
    config.data.high_size = (328, 328)
    config.data.crop_size = config.data.low_size = (266, 266)
    config.train.epochs = 10
    config.train.steps_per_epoch = 32  # about two passes over four fifths of 340 images
    config.train.patience = 0  # what validates is what judges
    config.eval.checkpoint = "latest"
    config.eval.resamples = 100
    models: dict[str, dict] = {
        "ensemble1": {},
        "ensemble1_image": {"model": {"branches": ("global",)}},
    }
    return make_study(config, models, seeds=(0, 1, 2), folds=5)
