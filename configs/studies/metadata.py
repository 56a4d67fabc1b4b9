"""What do age, sex and site tell of a lesion, without its image? ISIC 2020, five folds by patient.

    python -m stochconv_jax.study --config=configs/studies/metadata.py --workdir=runs/metadata \
        --config.base.data.directory=ISIC_2020
    python -m benchmarks.metadata_baseline --directory=ISIC_2020 --workdir=runs/metadata/logistic
    python -m stochconv_jax.compare runs/metadata/* --reference logistic \
        --output=runs/metadata/comparison

ISIC_2020 holds ISIC_2020_Training_GroundTruth_v2.csv, 33,126 rows of 2,056 patients; no image is
read. The dense network is the metadata branch of Mashhadi 2023, with classes weighted as they are
rare, where the thesis repeats malignant images, and unweighted. The baseline is a logistic
regression on the same inputs and folds. The last epoch is evaluated.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base
from stochconv_jax.configs.papers import metadata_ensemble1
from stochconv_jax.configs.studies.base import make_study

WEIGHTS = metadata_ensemble1.CLASS_WEIGHTS


def get_config() -> ConfigDict:
    """Returns the study, locked."""
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
        "dense_weighted": {"train": {"class_weights": WEIGHTS}},
        "dense": {},
    }
    return make_study(config, models, seeds=(0, 1, 2), folds=5)
