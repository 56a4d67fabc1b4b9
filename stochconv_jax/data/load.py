"""From the `data` section of a config to a data set."""

import dataclasses
import hashlib
import pathlib

from ml_collections import ConfigDict

from stochconv_jax.config_limits import OF_THE_FILE
from stochconv_jax.data.dataset.image_dataset import ImageDataset, check_splits
from stochconv_jax.data.dataset.manifest import FILE_NAME, read_manifest
from stochconv_jax.data.dataset.oversampling import describe_leak, oversample
from stochconv_jax.data.dataset.prepared import Opening, open_prepared
from stochconv_jax.data.dataset.records import open_records
from stochconv_jax.data.dataset.splits import Drawing, resolve_splits, retraining_splits
from stochconv_jax.data.decoded_images import keep_decoded
from stochconv_jax.data.feedback_images import add_feedback
from stochconv_jax.data.framing import Framing
from stochconv_jax.data.preparation.folder import FolderTable
from stochconv_jax.data.preparation.lesion_drawing import MIN_SIZE
from stochconv_jax.data.preparation.preparation import reserved
from stochconv_jax.data.preparation.summary import contradicted
from stochconv_jax.data.preparation.synthetic_lesions import (
    CLASSES,
    SyntheticLesions,
    SyntheticLesionsConfig,
)
from stochconv_jax.data.prepared_folder import prepare_folder
from stochconv_jax.data.table_only import open_table
from stochconv_jax.errors import InputError


def load_dataset(config: ConfigDict) -> ImageDataset:
    """Prepares, unless that is done, and opens the data set of a config's `data` section.

    Raises:
      InputError: a field, the table or an image is not usable.
    """
    loaders = {
        "synthetic_lesions": _load_synthetic,
        "image_folder": _load_folder,
        "prepared": _load_prepared,
        "table": _load_table,
    }
    if config.name not in loaders:
        raise InputError(f"data.name is {config.name!r}; use one of {', '.join(loaders)}")
    try:
        dataset = loaders[config.name](config)
    except InputError as error:
        if config.origin and not (config.directory and pathlib.Path(config.directory).exists()):
            raise InputError(f"{error}; {config.origin}") from error
        raise
    dataset = _with_columns(dataset, config)
    if config.keep_decoded:
        records = keep_decoded(dataset.records, dataset.framing.size)
        dataset = dataclasses.replace(dataset, records=records)
    if config.oversample_before_split:
        dataset = oversample(dataset, config.oversample_before_split, _drawing(config))
    if config.retrain:
        dataset = dataclasses.replace(dataset, splits=retraining_splits(dataset.splits))
    if config.oversample_before_split:
        print(describe_leak(dataset), flush=True)
    if config.feedback:
        feedback = add_feedback(dataset, config.feedback, config.prepared_directory)
        print(feedback.describe(), flush=True)
        dataset = feedback.dataset
    return dataset


def _with_columns(dataset: ImageDataset, config: ConfigDict) -> ImageDataset:
    columns = (*config.numeric_columns, *config.category_columns)
    known = [name for name in dataset.examples[0].known if name not in OF_THE_FILE]
    for column in columns:
        if column not in known:
            raise InputError(
                f"data.numeric_columns or data.category_columns names {column!r}, which is not "
                f"known of the images; known are: {', '.join(known) or 'none'}"
            )
    return dataclasses.replace(dataset, columns=columns)


def _load_synthetic(config: ConfigDict) -> ImageDataset:
    height, width = config.high_size
    if height != width:
        raise InputError(f"data.high_size is {height}x{width}; synthetic lesions are square")
    if height < MIN_SIZE:
        raise InputError(f"data.high_size is {height}x{width}; lesions have {MIN_SIZE} or more")
    lesions = SyntheticLesionsConfig(
        size=(height, width), count=config.synthetic_count, seed=config.synthetic_seed
    )
    builder = SyntheticLesions(data_dir=config.prepared_directory, config=lesions)
    with reserved(pathlib.Path(config.prepared_directory)):
        builder.write()
    records, framing = open_records(pathlib.Path(builder.data_path))
    examples = tuple(
        example._replace(sha256=hashlib.sha256(record["image"]).hexdigest())
        for example, record in zip(lesions.examples, records, strict=True)
    )
    splits = resolve_splits(examples, config.fold, _drawing(config))
    check_splits(examples, splits, CLASSES)
    return ImageDataset(records, examples, CLASSES, splits, framing)


def _load_prepared(config: ConfigDict) -> ImageDataset:
    directory = pathlib.Path(config.directory)
    if not (directory / FILE_NAME).is_file():
        raise InputError(
            f"data.directory {config.directory!r} holds no {FILE_NAME}; prepare it with "
            "python -m stochconv_jax.prepare, or name another"
        )
    return open_prepared(directory, _opening(config, config.label_column))


def _load_folder(config: ConfigDict) -> ImageDataset:
    if not config.directory:
        raise InputError("data.directory is empty; name the directory of your images")
    size = tuple(config.high_size)
    framing = Framing(size=size, minimum=(1, 1) if config.enlarge else size)
    output = prepare_folder(_folder(config), framing, config.prepared_directory)
    _check_contradictions(output)
    return open_prepared(output, _opening(config, "target"))


def _check_contradictions(directory: pathlib.Path) -> None:
    rows = read_manifest(directory / FILE_NAME)
    lost = contradicted(rows)
    if 2 * lost > len(rows):
        raise InputError(
            f"{lost} of {len(rows)} images look like one of another class and are left out; where "
            "that is how your classes are, prepare them by python -m stochconv_jax.prepare folder "
            "--near-duplicate-distance -1, and train on data.name=prepared"
        )


def _load_table(config: ConfigDict) -> ImageDataset:
    return open_table(_folder(config), _opening(config, "target"))


def _folder(config: ConfigDict) -> FolderTable:
    return FolderTable(
        config.directory,
        config.table,
        config.image_column,
        config.label_column,
        config.group_column,
        config.split_column,
        (*config.numeric_columns, *config.category_columns),
    )


def _opening(config: ConfigDict, label_column: str) -> Opening:
    return Opening(
        size=tuple(config.high_size),
        label_column=label_column,
        positive_class=config.positive_class,
        fold=config.fold,
        drawing=_drawing(config),
        allow_shared_groups=config.allow_shared_groups,
    )


def _drawing(config: ConfigDict) -> Drawing:
    return Drawing(
        config.validation_fraction, config.test_fraction, config.folds, seed=config.split_seed
    )
