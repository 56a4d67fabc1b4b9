"""Prepared images with their table: what every builder leaves behind and the pipeline reads."""

import abc
import contextlib
import csv
import dataclasses
import functools
import hashlib
import io
import json
import logging
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from stochconv_jax.data.splits import assign_splits
from stochconv_jax.errors import InputError


class Example(NamedTuple):
    """One row of the table: the image's name, class, group and split ("" where none is given)."""

    id: str
    label: str
    group: str
    split: str


@dataclasses.dataclass(frozen=True)
class ImageDataset:
    """Images of one size at random access, and what is known of each.

    Attributes:
      records: indexable; records[i]["image"] holds the JPEG bytes of image i.
      examples: the table, in the same order.
      classes: names of the classes; with two, the second is the positive one.
      splits: [images] of "train", "validation" or "test".
    """

    records: Sequence[dict[str, Any]]
    examples: tuple[Example, ...]
    classes: tuple[str, ...]
    splits: np.ndarray

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """int32 [images], the index of each image's class."""
        number = {name: index for index, name in enumerate(self.classes)}
        return np.array([number[example.label] for example in self.examples], np.int32)

    @property
    def num_outputs(self) -> int:
        """Logits that a network needs: one for two classes, else one a class."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    @property
    def identity(self) -> dict[str, Any]:
        """What makes the data set this one: images, classes and splits, wherever it is kept."""
        rows = [
            (*example[:2], split) for example, split in zip(self.examples, self.splits, strict=True)
        ]
        digest = hashlib.sha256(json.dumps(rows, default=str).encode()).hexdigest()
        return {"images": len(rows), "classes": list(self.classes), "fingerprint": digest[:16]}

    def indices(self, split: str) -> np.ndarray:
        """int32, the images of "train", "validation", "test" or "all".

        Raises:
          InputError: the split is empty.
        """
        chosen = (
            np.arange(len(self.splits)) if split == "all" else np.flatnonzero(self.splits == split)
        )
        if not len(chosen):
            raise InputError(
                f"the {split} split has no images; train a run with data.{split}_fraction above 0, "
                "or with such images in the table's split column"
            )
        return chosen.astype(np.int32)


class ImageBuilder(tfds.core.GeneratorBasedBuilder):
    """Writes images and their table in the table's order; subclasses say which."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, **arguments: Any):
        """Takes TFDS's arguments; ArrayRecord is the format that it writes without TensorFlow."""
        with _quiet():
            super().__init__(**(arguments | {"file_format": "array_record"}))

    @abc.abstractmethod
    def generate(self) -> Iterator[tuple[Example, bytes]]:
        """Yields every example with its JPEG bytes."""

    def load(
        self,
        classes: Sequence[str],
        validation_fraction: float,
        test_fraction: float,
        split_seed: int,
    ) -> ImageDataset:
        """Prepares the images, unless that is done, and opens them.

        Raises:
          InputError: an image or the table is not usable, or a split would lack a class.
        """
        with _quiet():
            self.download_and_prepare()
            decoders = {"image": tfds.decode.SkipDecoding()}
            records = self.as_data_source("images", decoders=decoders)
        examples = _read_table(pathlib.Path(self.data_path) / "examples.csv", records)
        splits = np.array([example.split for example in examples])
        if not all(splits):
            splits = assign_splits(
                [example.label for example in examples],
                [example.group or example.id for example in examples],
                validation_fraction,
                test_fraction,
                split_seed,
            )
        check_splits(examples, splits, classes)
        return ImageDataset(records, examples, tuple(classes), splits)

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                **{name: tfds.features.Text() for name in Example._fields},
            }
        )
        return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return {"images": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for key, (example, encoded) in enumerate(self.generate()):
            yield key, {"image": encoded, **example._asdict()}


def check_splits(examples: Sequence[Example], splits: np.ndarray, classes: Sequence[str]) -> None:
    """Checks that no group stands in two splits and that no class is missing where it is needed.

    Raises:
      InputError: names the group, or the class and the split.
    """
    split_of: dict[str, str] = {}
    for example, split in zip(examples, splits, strict=True):
        if example.group and split_of.setdefault(example.group, split) != split:
            raise InputError(
                f"the group {example.group!r} stands in the {split_of[example.group]} and the "
                f"{split} split; give all its images one split in the table"
            )
    pairs = {(example.label, str(split)) for example, split in zip(examples, splits, strict=True)}
    for split in ("train", "validation"):
        for name in classes:
            if (name, split) not in pairs:
                raise InputError(
                    f"the {split} split has no image of the class {name!r}; bring more images of "
                    "it, or change data.validation_fraction, data.split_seed or the split column"
                )


def encode(image: np.ndarray) -> bytes:
    """Encodes uint8 RGB [H, W, 3] as a JPEG that keeps fine colour (quality 95, no subsampling)."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def _read_table(path: pathlib.Path, records: Sequence[dict[str, Any]]) -> tuple[Example, ...]:
    """Reads the table beside the records, written once: reading it from them decodes everything."""
    if not path.exists():
        part = path.with_suffix(".part")
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(Example._fields)
            for index in range(len(records)):
                record = records[index]
                writer.writerow([record[name].decode() for name in Example._fields])
        part.replace(path)
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(Example(**row) for row in csv.DictReader(file))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
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
