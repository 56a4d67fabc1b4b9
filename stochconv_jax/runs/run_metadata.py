"""The metadata of a run: fitted when it begins, kept as a file, read ever after."""

import json
import pathlib

from ml_collections import ConfigDict

from stochconv_jax.atomic_write import atomic_write
from stochconv_jax.data.dataset.image_dataset import ImageDataset
from stochconv_jax.data.dataset.metadata import FILE_NAME, Metadata
from stochconv_jax.models.branch import METADATA
from stochconv_jax.saved_config import read_json


def fit_metadata(dataset: ImageDataset, config: ConfigDict) -> Metadata | None:
    """Fits a config's columns on the training split; None for a network that is given none.

    Raises:
      InputError: a number is none, or a column holds none.
    """
    if METADATA not in config.model.branches:
        return None
    training = [dataset.examples[index] for index in dataset.indices("train")]
    fitted = Metadata.fit(training, config.data.numeric_columns, config.data.category_columns)
    fitted(dataset.examples)  # a number that is none is told before anything is written
    return fitted


def write_metadata(directory: pathlib.Path, metadata: Metadata | None) -> None:
    """Keeps what was fitted with the run."""
    path = directory / FILE_NAME
    if metadata is None:
        path.unlink(missing_ok=True)
    else:
        atomic_write(path, json.dumps(metadata.to_json(), indent=2) + "\n")


def read_metadata(directory: pathlib.Path, config: ConfigDict) -> Metadata | None:
    """Reads what `write_metadata` kept; None for a network that is given none.

    Raises:
      InputError: it is missing or damaged.
    """
    if METADATA not in config.model.branches:
        return None
    path = directory / FILE_NAME
    return Metadata.from_json(read_json(path), path)
