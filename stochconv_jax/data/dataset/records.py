"""The ArrayRecord files of prepared images, at random access."""

import contextlib
import errno
import io
import json
import logging
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow_datasets as tfds

from stochconv_jax.data.framing import Framing
from stochconv_jax.errors import InputError

# Where a data set's metadata says how its images were framed.
FRAMING = "framing"
# The features that an `ImageBuilder` writes, by name.
_CLASSES = {"id": tfds.features.Text, "image": tfds.features.Image}
# How the files of a split are called.
_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
# Errors of the operating system that tell of the machine, not of the records.
_OF_MACHINE = (
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.EIO,
    errno.ESTALE,
    errno.EACCES,
)


def open_records(directory: pathlib.Path) -> tuple[Sequence[dict[str, Any]], Framing]:
    """Opens what an `ImageBuilder` wrote: records at random access, and how they were framed.

    Raises:
      InputError: they are damaged, do not say how, since an older version wrote them, or no
        `ImageBuilder` wrote them.
      OSError: a file cannot be opened or read, which may pass.
    """
    if not _is_image_builders(directory):
        raise InputError(
            f"the records in {directory} are not described as preparation describes them; prepare "
            "the images again"
        )
    try:
        with quiet():
            builder = tfds.builder_from_directory(str(directory))
            decoders = {"image": tfds.decode.SkipDecoding()}
            records = builder.as_data_source("images", decoders=decoders)
            metadata = builder.info.metadata or {}
    except Exception as error:  # TFDS and what it is made of raise errors of any kind
        _raise_if_machines(directory, error)
        raise _damaged(directory, error) from error
    if FRAMING not in metadata:
        raise InputError(
            f"the images in {directory} were prepared by an older version; prepare them again"
        )
    try:
        framing = Framing.from_json(metadata[FRAMING])
    except InputError as error:
        raise _damaged(directory, error) from error
    return StoredRecords(records, directory), framing


def _raise_if_machines(directory: pathlib.Path, error: Exception) -> None:
    """Raises an error that tells of the machine (open files, disk, memory), not of the records."""
    if isinstance(error, MemoryError):
        raise error
    for number in _OF_MACHINE:
        if isinstance(error, OSError) and error.errno == number:
            raise error
        if os.strerror(number) in str(error):  # ArrayRecord tells it in its text alone
            raise OSError(number, os.strerror(number), str(directory)) from error


def _damaged(directory: pathlib.Path, error: Exception) -> InputError:
    words = " ".join(str(error).split()) or type(error).__name__
    return InputError(
        f"the images in {directory} are damaged ({words[:200]}); delete this directory and prepare "
        "them again"
    )


class StoredRecords(Sequence):
    """The records of a directory, of which a damaged one is an InputError that names it."""

    def __init__(self, records: Sequence[dict[str, Any]], directory: pathlib.Path):
        self.records = records
        self.directory = directory

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self.records):
            raise IndexError(index)
        try:
            return self.records[index]
        except Exception as error:  # ArrayRecord's and TFDS's own, of any kind
            _raise_if_machines(self.directory, error)
            raise _damaged(self.directory, error) from error


def _is_image_builders(directory: pathlib.Path) -> bool:
    """Returns whether records are described as an `ImageBuilder` describes them.

    TFDS would import any module that a description names, and read files that lie elsewhere.
    """
    try:
        told, features = (
            json.loads((directory / name).read_bytes())
            for name in ("dataset_info.json", "features.json")
        )
        of_each = features["featuresDict"]["features"]
        return (
            set(features) == {"featuresDict", "pythonClassName"}
            and features["pythonClassName"] == _name_of(tfds.features.FeaturesDict)
            and {name: feature["pythonClassName"] for name, feature in of_each.items()}
            == {name: _name_of(feature) for name, feature in _CLASSES.items()}
            and told["fileFormat"] == "array_record"
            and str(told["name"]).isidentifier()
            and all(
                (split["name"], split["filepathTemplate"]) == ("images", _TEMPLATE)
                for split in told["splits"]
            )
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        _raise_if_machines(directory, error)
        return False


def _name_of(feature: type) -> str:
    return f"{feature.__module__}.{feature.__name__}"


class SomeRecords(Sequence):
    """Some records of a sequence, in an order of their own."""

    def __init__(self, records: Sequence[dict[str, Any]], places: Sequence[int]):
        self.records = records
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        return self.records[self.places[index]]


class JoinedRecords(Sequence):
    """The records of one sequence and, behind them, of another."""

    def __init__(self, first: Sequence[dict[str, Any]], second: Sequence[dict[str, Any]]):
        self.first = first
        self.second = second

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __getitem__(self, index: Any) -> Any:
        place = range(len(self))[index]  # as lists have it: from behind, slices, out of range
        if isinstance(place, range):
            return SomeRecords(self, place)
        behind = place - len(self.first)
        return self.first[place] if behind < 0 else self.second[behind]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps TFDS's notices off the terminal; the builders show a progress bar of their own."""
    tfds.disable_progress_bar()
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
