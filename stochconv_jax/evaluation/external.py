"""Labelled images that a run was not made with, to judge it on: an external test."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stochconv_jax.data.dataset.image_dataset import Example, ImageDataset
from stochconv_jax.data.dataset.prepared import Images, open_images
from stochconv_jax.data.preparation.folder import FolderTable
from stochconv_jax.data.prepared_folder import prepare_folder
from stochconv_jax.data.table_only import table_examples
from stochconv_jax.errors import InputError
from stochconv_jax.runs.run import Run

LISTED = 5
# What the run's weights, its checkpoint and its thresholds were chosen on.
SEEN = ("train", "validation")


class ExternalImages(NamedTuple):
    """Images to judge a run on, all of them its test split, and why others are not among them."""

    dataset: ImageDataset
    left_out: list[str]


def external_images(run: Run, folder: FolderTable) -> ExternalImages:
    """Prepares, as the run's own images were, those of a table.

    Images that the run was trained or validated on, by their bytes or their group, are left out.

    Raises:
      InputError: the directory, the table or a column is not usable, a class is not the run's, or
        no image is left.
    """
    records, examples, framing = _open(run, folder)
    unknown = sorted({example.label for example in examples} - set(run.classes))
    if unknown:
        raise InputError(
            f"{folder.table} has the classes {', '.join(unknown)}, which {run.directory} does not "
            f"know; its classes are {', '.join(run.classes)}, so rename or take out the others"
        )
    kept, left_out = _unseen(run, examples)
    if not kept:
        raise InputError(
            f"{run.directory} was made with every image of {folder.table}; bring other images"
        )
    columns = run.metadata.columns if run.metadata else ()
    dataset = ImageDataset(
        records, examples, run.classes, np.full(len(examples), "test"), framing, columns
    )
    return ExternalImages(dataset.subset(kept), left_out)


def _open(run: Run, folder: FolderTable) -> Images:
    if not run.sees_pixels:
        return Images((), table_examples(folder), run.framing)
    directory = prepare_folder(folder, run.framing, run.config.data.prepared_directory)
    return open_images(directory, "target")


def _unseen(run: Run, examples: Sequence[Example]) -> tuple[list[int], list[str]]:
    """Returns the places of images that the run has not seen, and a sentence for those it has."""
    seen = [row for row in run.images() if row["split"] in SEEN]
    digests = {row["sha256"] for row in seen}
    # A group that is called like its image is an image by itself, and its name means nothing.
    groups = {row["group"] for row in seen if row["group"] != row["id"]} - {""}
    kept: list[int] = []
    by_bytes: list[str] = []
    by_group: list[str] = []
    for place, example in enumerate(examples):
        if example.sha256 in digests:
            by_bytes.append(example.id)
        elif example.group != example.id and example.group in groups:
            by_group.append(f"{example.id} (group {example.group})")
        else:
            kept.append(place)
    sentences = {"are the very files": by_bytes, "belong to groups": by_group}
    return kept, [
        f"{len(names)} images {what} that the run was trained or validated on: {_some(names)}"
        for what, names in sentences.items()
        if names
    ]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def folder_table(
    run: Run, data: str, table: str, image_column: str, label_column: str, group_column: str
) -> FolderTable:
    """Returns where the images and their columns are; columns not named are called as the run's.

    Raises:
      InputError: the directory is not one.
    """
    if not pathlib.Path(data).is_dir():
        raise InputError(f"--data {data} is not a directory; name the one of the images")
    return FolderTable(
        data,
        table or "labels.csv",
        image_column or run.config.data.image_column,
        label_column or run.config.data.label_column,
        group_column,
        columns=run.metadata.columns if run.metadata else (),
    )
