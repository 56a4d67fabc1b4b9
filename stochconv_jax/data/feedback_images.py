"""Images that people corrected, among those that train: what `stochconv feedback export` wrote.

They follow a data set's own images, so that these keep their places, and with them their windows,
and all of them train. What would leak is left out, and so is what the training split has already.
"""

import collections
import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from stochconv_jax.atomic_write import read_table, write_table
from stochconv_jax.data.dataset.image_dataset import Example, ImageDataset
from stochconv_jax.data.dataset.manifest import FILE_NAME, ManifestRow, read_manifest
from stochconv_jax.data.dataset.prepared import open_images
from stochconv_jax.data.dataset.records import JoinedRecords, SomeRecords
from stochconv_jax.data.preparation.folder import FolderTable, read_folder
from stochconv_jax.data.preparation.inspection import near_places, perceptual_hash
from stochconv_jax.data.preparation.photograph import Photograph
from stochconv_jax.data.preparation.table import read_rows
from stochconv_jax.data.prepared_folder import prepare_folder
from stochconv_jax.errors import InputError

TABLE = "labels.csv"
IMAGE_COLUMN, LABEL_COLUMN, GROUP_COLUMN = "image", "label", "group"
SOURCE = "feedback"
# Bits of 256 in which perceptual hashes of one picture differ at most: more than preparation's
# NEAR, since here an image that is left out for nothing costs little, and a leak the verdict.
# Framed alike, copies of a third of the size differ in 0 to 60 bits, different lesions in 44 and
# more, different retinas in 32 and more.
ALIKE = 28
LISTED = 5


class LeftOut(NamedTuple):
    """An image that does not train: its name and why."""

    image: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Feedback:
    """A data set with the images that people corrected.

    Attributes:
      dataset: its own images and, behind them, those that were added.
      added: how many were.
      left_out: the others.
    """

    dataset: ImageDataset
    added: int
    left_out: tuple[LeftOut, ...]

    @property
    def places(self) -> range:
        """Places of the added images in the data set."""
        count = len(self.dataset.examples)
        return range(count - self.added, count)

    def describe(self) -> str:
        """Returns how many images were added and, with some names, left out."""
        told = f"feedback: images that train as well: {self.added}"
        if not self.left_out:
            return told
        return f"{told}, {len(self.left_out)} are left out: {_some(self.left_out)}"


def add_feedback(
    dataset: ImageDataset, directories: Sequence[str], prepared_directory: str | pathlib.Path
) -> Feedback:
    """Adds exported images to the training split, framed as photographs are for prediction.

    Left out, by name, is what shows a picture of the validation or the test split (the same bytes,
    or a perceptual hash that differs in `ALIKE` bits of 256 or fewer), belongs to one of their
    groups, or shows a picture that trains already: under the same class it would count twice, and
    under another the table that the run was made with has to be mended.

    Args:
      dataset: with its splits.
      directories: of exports, in the order in which they are added.
      prepared_directory: where framed images and hashes are kept.

    Raises:
      InputError: a directory holds no export, a class is none of the data set's, or no image of one
        is left.
    """
    if not len(dataset.records):
        raise InputError("feedback is of images, and this data set has none; leave it out")
    hashes = _kept_hashes(dataset, pathlib.Path(prepared_directory))
    count = len(dataset.examples)
    left_out: list[LeftOut] = []
    for directory in directories:
        dataset, hashes, own = _add(dataset, hashes, directory, prepared_directory)
        left_out += own
    return Feedback(dataset, len(dataset.examples) - count, tuple(left_out))


def _add(
    dataset: ImageDataset,
    hashes: list[str],
    directory: str,
    prepared_directory: str | pathlib.Path,
) -> tuple[ImageDataset, list[str], list[LeftOut]]:
    folder = _table(directory, dataset)
    framing = dataclasses.replace(dataset.framing, minimum=(1, 1))
    prepared = prepare_folder(folder, framing, prepared_directory)
    rows = read_manifest(prepared / FILE_NAME)
    left_out = [LeftOut(row.id, row.reason) for row in rows if row.kept == "no"]
    found = open_images(prepared, "target")
    own_hashes = _hashes(found.records)
    names = _group_names(read_folder(folder), rows)
    reasons = _Known(dataset, hashes).reasons_against(found.examples, own_hashes, names)
    for example, reason in zip(found.examples, reasons, strict=True):
        if reason:
            left_out.append(LeftOut(example.id, reason))
    kept = [place for place, reason in enumerate(reasons) if not reason]
    if not kept:
        raise InputError(
            f"none of the {len(left_out)} images of {directory} can train: {_some(left_out)}"
        )
    examples = (
        example._replace(known={**example.known, "source": SOURCE})
        for example in (found.examples[place] for place in kept)
    )
    joined = dataclasses.replace(
        dataset,
        records=JoinedRecords(dataset.records, SomeRecords(found.records, kept)),
        examples=(*dataset.examples, *examples),
        splits=np.append(dataset.splits, np.full(len(kept), "train")),
    )
    return joined, [*hashes, *(own_hashes[place] for place in kept)], left_out


def _table(directory: str, dataset: ImageDataset) -> FolderTable:
    """Where an export's table lies, checked before anything is prepared."""
    path = pathlib.Path(directory) / TABLE
    if not path.is_file():
        raise InputError(
            f"{directory} holds no {TABLE}; name a directory that `stochconv feedback export` wrote"
        )
    grouped = any(row.get(GROUP_COLUMN) for row in read_rows(path))
    folder = FolderTable(
        directory,
        TABLE,
        IMAGE_COLUMN,
        LABEL_COLUMN,
        GROUP_COLUMN if grouped else "",
        columns=dataset.columns,
    )
    labels = {photograph.target for photograph in read_folder(folder)} - {""}
    unknown = sorted(labels - set(dataset.classes))
    if unknown:
        raise InputError(
            f"{path} has the classes {', '.join(unknown)}, which the network does not know; its "
            f"classes are {', '.join(dataset.classes)}, so rename the others or empty their cells"
        )
    return folder


def _group_names(
    photographs: Sequence[Photograph], rows: Sequence[ManifestRow]
) -> dict[str, list[str]]:
    """Returns all that a table calls each group of its images.

    Preparation calls images that are linked by one name, and an image without a group by its own,
    which is nobody's group.
    """
    names: dict[str, list[str]] = collections.defaultdict(list)
    for photograph, row in zip(photographs, rows, strict=True):
        said = (photograph.patient_id, photograph.lesion_id, photograph.group)
        names[row.group] += filter(None, said)
    return dict(names)


def _some(left_out: Sequence[LeftOut]) -> str:
    told = [f"{each.image}: {each.reason}" for each in left_out[:LISTED]]
    more = len(left_out) - LISTED
    return "; ".join([*told, f"and {more} more"] if more > 0 else told)


class _Known:
    """What a data set has already, to be looked up for each image that is to be added."""

    def __init__(self, dataset: ImageDataset, hashes: list[str]):
        self.dataset = dataset
        self.hashes = hashes
        self.by_bytes = collections.defaultdict(list)
        for place, example in enumerate(dataset.examples):
            self.by_bytes[example.sha256].append(place)
        # Those that are called like their image too: a table may name its patients so.
        self.held_out_groups = {
            example.group: str(split)
            for example, split in zip(dataset.examples, dataset.splits, strict=True)
            if split != "train" and example.group
        }

    def reasons_against(
        self,
        examples: Sequence[Example],
        hashes: Sequence[str],
        names: Mapping[str, Sequence[str]],
    ) -> list[str]:
        """Returns why each of these images may not be added, or "".

        Args:
          examples: the images.
          hashes: perceptual ones, of each.
          names: of every group of these images, all that their table calls it.
        """
        same = [
            [*self.by_bytes[example.sha256], *near_places(self.hashes, own, ALIKE)]
            for example, own in zip(examples, hashes, strict=True)
        ]
        # Whoever is known by one picture is known by the others as well.
        groups = {
            group: self.held_out_groups[name]
            for group, own in names.items()
            for name in own
            if name in self.held_out_groups
        } | {
            example.group: str(self.dataset.splits[place])
            for example, places in zip(examples, same, strict=True)
            for place in places
            if self._held_out(place)
        }
        return [self._reason(*each, groups) for each in zip(examples, same, strict=True)]

    def _reason(self, example: Example, same: list[int], groups: dict[str, str]) -> str:
        for place in filter(self._held_out, same):
            split = self.dataset.splits[place]
            return f"shows the picture {self._name(place)} of the {split} split"
        if example.group in groups:
            return f"belongs to the group {example.group} of the {groups[example.group]} split"
        for place in same:
            if self._label(place) != example.label:
                return (
                    f"is to be {example.label}, and shows the picture {self._name(place)}, which "
                    f"trains as {self._label(place)}: correct that in its own table"
                )
        return f"trains already, as {self._name(same[0])}" if same else ""

    def _held_out(self, place: int) -> bool:
        return str(self.dataset.splits[place]) != "train"

    def _name(self, place: int) -> str:
        return self.dataset.examples[place].id

    def _label(self, place: int) -> str:
        return self.dataset.examples[place].label


def _kept_hashes(dataset: ImageDataset, directory: pathlib.Path) -> list[str]:
    """Perceptual hashes of a data set's images, kept for the next time."""
    path = directory / f"hashes_{dataset.identity['fingerprint']}.csv"
    if not path.is_file():
        directory.mkdir(parents=True, exist_ok=True)
        write_table(path, ["perceptual_hash"], ([found] for found in _hashes(dataset.records)))
    return [row["perceptual_hash"] for row in read_table(path)]


def _hashes(records: Sequence[dict[str, Any]]) -> list[str]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(
            pool.map(lambda place: perceptual_hash(records[place]["image"]), range(len(records)))
        )
