"""The limits of a config's fields, checked before anything is read or written."""

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from stochconv_jax.augmentation_limits import check_augmentations
from stochconv_jax.config_types import check_types
from stochconv_jax.errors import InputError


def _at_least(least: int) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value >= least, f"{least} or more"


def _between(least: float, most: float) -> tuple[Callable[[Any], bool], str]:
    return lambda value: least <= value <= most, f"{least} to {most}"


def _one_of(*values: str) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value in values, f"one of {', '.join(values)}"


def _is_size(value: Any) -> bool:
    return len(value) == 2 and all(isinstance(side, int) and side > 0 for side in value)


def _is_range(value: Any) -> bool:
    return len(value) == 2 and _are_numbers(value) and 0 < value[0] <= value[1]


def _are_numbers(values: Any) -> bool:
    return all(isinstance(value, int | float) for value in values)


# Of the file and not of what it shows; prediction would ask a table for what training measured.
OF_THE_FILE = ("source", "width", "height")

_POSITIVE = (lambda value: value > 0, "more than 0")
_NOT_NEGATIVE = (lambda value: value >= 0, "0 or more")
_SHARE = (lambda value: 0 <= value < 1, "0 or more and less than 1")
_RANGE = (_is_range, "two numbers more than 0, the least first")
_WINDOW = (
    lambda value: value == (0, 0) or _is_size(value),
    "two whole numbers, (height, width), or (0, 0)",
)
_CHANNELS = (
    lambda value: (
        value == () or (len(value) == 3 and _are_numbers(value) and all(0 <= v <= 1 for v in value))
    ),
    "three numbers of 0 to 1, for red, green and blue, or ()",
)
_SIZE = (_is_size, "two whole numbers, (height, width)")
_NAMES = (lambda value: all(isinstance(name, str) for name in value), "names in brackets, or ()")

LIMITS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "seed": _at_least(0),
    "data.synthetic_count": _at_least(20),
    "data.synthetic_seed": _at_least(0),
    "data.validation_fraction": (lambda value: 0 < value < 1, "more than 0 and less than 1"),
    "data.test_fraction": _SHARE,
    "data.split_seed": _at_least(0),
    "data.high_size": _SIZE,
    "data.low_size": _SIZE,
    "data.crop_size": _WINDOW,
    "data.workers": _at_least(0),
    "data.folds": (lambda value: value == 0 or value > 1, "2 or more, or 0 for none"),
    "data.fold": _at_least(0),
    "data.oversample_before_split": _at_least(0),
    "data.numeric_columns": _NAMES,
    "data.category_columns": _NAMES,
    "data.feedback": _NAMES,
    "data.class_multipliers": (
        lambda value: not value or (_are_numbers(value) and min(value) >= 0 and max(value) > 0),
        "a number of 0 or more for each class, one of them more than 0, or ()",
    ),
    "data.augment.crop_area": (
        lambda value: _is_range(value) and value[1] <= 1,
        "two numbers more than 0 and at most 1, the least first",
    ),
    "data.augment.crop_aspect": _RANGE,
    "data.augment.shift": _SHARE,
    "data.augment.scale": _SHARE,
    "data.augment.rotation": _between(0, 180),
    "data.augment.randaugment_operations": _between(0, 100),
    "data.augment.randaugment_magnitude": _between(0, 10),
    "data.augment.randaugment_weights": _one_of("uniform", "shape"),
    "data.augment.brightness": _SHARE,
    "data.augment.contrast": _SHARE,
    "data.augment.saturation": _SHARE,
    "data.augment.hue": _between(0, 0.5),
    "data.augment.fancy_pca": _between(0, 10),
    "data.augment.fancy_pca_axes": _one_of("imagenet", "image"),
    "data.augment.hsv_shift": (
        lambda value: (
            len(value) == 3 and _are_numbers(value) and all(0 <= part <= 255 for part in value)
        ),
        "three numbers, 0 to 255",
    ),
    "data.augment.blur": _between(0, 100),
    "data.augment.noise": _between(0, 255),
    "data.augment.noise_least": _between(0, 255),
    "data.augment.cutout": _SHARE,
    "model.branches": _NAMES,
    "model.pixel_mean": _CHANNELS,
    "model.pixel_deviation": _CHANNELS,
    "model.stem_features": _at_least(0),
    "model.windows": _at_least(0),
    "model.window_size": _WINDOW,
    "model.placement": _one_of("independent", "even", "guided"),
    "model.pooled_draws": _at_least(1),
    "model.draw_pooling": _one_of("mean", "attention"),
    "model.dropout_rate": _SHARE,
    "model.batch_norm_momentum": _SHARE,
    "train.epochs": _at_least(1),
    "train.batch_size": _at_least(1),
    "train.steps_per_epoch": _at_least(0),
    "train.learning_rate": _POSITIVE,
    "train.optimizer": _one_of("rmsprop", "adam", "adamw", "sgd"),
    "train.backbone_rate": _NOT_NEGATIVE,
    "train.branch_rate": _NOT_NEGATIVE,
    "train.head_rate": _NOT_NEGATIVE,
    "train.schedule": _one_of("paper", "cosine", "steps", "plateau"),
    "train.warmup_epochs": _NOT_NEGATIVE,
    "train.step_epochs": _at_least(1),
    "train.step_factor": (lambda value: 0 < value < 1, "more than 0 and less than 1"),
    "train.plateau_patience": _at_least(1),
    "train.patience": _at_least(0),
    "train.checkpoint_minutes": _NOT_NEGATIVE,
    "train.weight_decay": _NOT_NEGATIVE,
    "train.momentum": _SHARE,
    "train.clip_norm": _NOT_NEGATIVE,
    "train.accumulate": _at_least(1),
    "train.average_decay": _SHARE,
    "train.label_smoothing": _SHARE,
    "train.class_weights": (
        lambda value: _are_numbers(value) and all(weight > 0 for weight in value),
        "a number more than 0 for each class, or ()",
    ),
    "train.constant_epochs": _at_least(0),
    "train.decay_per_epoch": _POSITIVE,
    "train.rmsprop_decay": _SHARE,
    "train.rmsprop_epsilon": _POSITIVE,
    "eval.samples": _at_least(1),
    "eval.placement": (
        lambda value: value in ("", "independent", "even", "guided"),
        'independent, even or guided, or "" for the model\'s own',
    ),
    "eval.batch_size": _at_least(1),
    "eval.resamples": _at_least(20),
    "eval.split": _one_of("train", "validation", "test", "all"),
    "eval.checkpoint": _one_of("best", "latest"),
}


def check_limits(config: ConfigDict) -> None:
    """Checks the type of every field, those that have a limit, and those that limit each other.

    Raises:
      InputError: a field is missing, of another type, or outside its limits.
    """
    check_types(config)
    for field, (within, limit) in LIMITS.items():
        value = config
        for name in field.split("."):
            value = value[name]
        if not within(value):
            raise InputError(f"{field} is {value!r}; it must be {limit}")
    data = config.data
    if data.validation_fraction + data.test_fraction >= 1:
        raise InputError("data.validation_fraction and data.test_fraction leave no image to train")
    _check_pixels(config.model)
    _check_metadata(config)
    if data.oversample_before_split and (data.fold or data.folds):
        raise InputError(
            "data.oversample_before_split splits by row and knows no folds; leave data.fold and "
            "data.folds at 0"
        )
    _check_feedback(data)
    _check_training(config)
    check_augmentations(data)
    if data.crop_size[0] > data.high_size[0] or data.crop_size[1] > data.high_size[1]:
        raise InputError(
            f"data.crop_size {data.crop_size} is larger than data.high_size {data.high_size}, "
            "from which it is cut"
        )
    large = large_size(data)
    if data.low_size[0] > large[0] or data.low_size[1] > large[1]:
        name = "data.crop_size" if any(data.crop_size) else "data.high_size"
        raise InputError(
            f"data.low_size {data.low_size} is larger than {name} {large}; "
            "the small image is the large one shrunk"
        )


def large_size(data: ConfigDict) -> tuple[int, int]:
    """Returns (height, width) of the large image that a network sees, of the `data` section."""
    height, width = data.crop_size if any(data.crop_size) else data.high_size
    return height, width


def _check_pixels(model: ConfigDict) -> None:
    mean, deviation = model.pixel_mean, model.pixel_deviation
    if bool(mean) != bool(deviation):
        raise InputError(
            f"model.pixel_mean is {mean} and model.pixel_deviation {deviation}; set both, or leave "
            "both at () to have them measured"
        )
    if mean and model.pixels != "dataset":
        raise InputError(
            "model.pixel_mean and model.pixel_deviation are for model.pixels='dataset', and "
            f"model.pixels is {model.pixels!r}; change it, or leave both at ()"
        )
    if mean and not min(deviation):
        raise InputError(
            f"model.pixel_deviation is {deviation}, and pixels are divided by it; give numbers "
            "more than 0"
        )
    if model.pixels == "dataset" and set(model.branches) == {"metadata"}:
        raise InputError(
            "model.pixels is 'dataset', and model.branches is ('metadata',), which reads no "
            "pixels; leave model.pixels at auto"
        )


def _check_metadata(config: ConfigDict) -> None:
    data, branches = config.data, config.model.branches
    columns = [*data.numeric_columns, *data.category_columns]
    for column in columns:
        if columns.count(column) > 1:
            raise InputError(
                f"data.numeric_columns and data.category_columns name {column!r} twice; name each "
                "column once"
            )
        if column in OF_THE_FILE:
            raise InputError(
                f"data.numeric_columns or data.category_columns names {column!r}, which tells of "
                "the image's file and is not known alike in training and prediction; leave it out"
            )
    if "metadata" in branches and not columns:
        raise InputError(
            "model.branches has 'metadata' and no column is named; name some in "
            "data.numeric_columns or data.category_columns"
        )
    if data.name == "table" and set(branches) - {"metadata"}:
        raise InputError(
            f"data.name is 'table', which has no images, and model.branches is {tuple(branches)}; "
            "leave ('metadata',) alone, or bring images"
        )
    if set(branches) == {"metadata"} and config.model.weights:
        raise InputError(
            "model.weights are of a backbone, and model.branches is ('metadata',), which has none; "
            "leave one of the two out"
        )


def _check_feedback(data: ConfigDict) -> None:
    if data.feedback and data.name == "table":
        raise InputError(
            "data.feedback is of images, and data.name is 'table', which has none; leave it at ()"
        )
    if data.feedback and data.oversample_before_split:
        raise InputError(
            "data.oversample_before_split copies images across the splits, and data.feedback keeps "
            "them apart; leave one of the two out"
        )


def _check_training(config: ConfigDict) -> None:
    train = config.train
    chooses = {
        "eval.checkpoint='best'": config.eval.checkpoint == "best",
        "train.schedule='plateau'": train.schedule == "plateau",
        "train.patience": train.patience > 0,
    }
    if config.data.retrain and config.eval.split == "test":
        raise InputError(
            "eval.split is 'test', and with data.retrain the test images stand where validation "
            "stood; take eval.split=validation"
        )
    for field in (field for field, set_so in chooses.items() if config.data.retrain and set_so):
        raise InputError(
            f"data.retrain leaves nothing to choose by but the test images, and {field} would "
            "choose by them; take eval.checkpoint=latest, another schedule and train.patience=0"
        )
    learns = [train.backbone_rate, train.head_rate]
    if {"stochastic", "metadata"} & set(config.model.branches):
        learns.append(train.branch_rate)
    if not any(learns):
        raise InputError(
            "train.backbone_rate, train.head_rate and, where there is a stochastic or metadata "
            "branch, train.branch_rate are 0, so that nothing would learn; give one a number more "
            "than 0"
        )
    if train.warmup_epochs >= train.epochs:
        raise InputError(
            f"train.warmup_epochs is {train.warmup_epochs}; it must be less than train.epochs, "
            f"{train.epochs}"
        )
