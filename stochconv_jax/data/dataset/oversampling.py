"""Rows that are copied before they are split, as published: to measure what that leak is worth."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from stochconv_jax.data.dataset.image_dataset import ImageDataset, check_splits
from stochconv_jax.data.dataset.splits import Drawing, assign_splits
from stochconv_jax.keys import Purpose, generator


def oversample(dataset: ImageDataset, rows: int, drawing: Drawing) -> ImageDataset:
    """Returns as many rows of each class, drawn with replacement, and then split by row.

    So validation holds copies of training images, and other images of their groups. The splits of
    the images, given or drawn, count for nothing. A second copy of an image is called NAME#2; all
    its copies stay one group.

    Args:
      dataset: the images.
      rows: of each class.
      drawing: of the splits, stratified by class; its seed also draws the rows.

    Raises:
      InputError: there are too few rows for the splits.

    Source: the protocol whose table 7 tests 187 dermatofibromas of the 115 that there are (Sainadh
    2023, "Explainability in Deep Learning Vision Models", sections 4.3 and 4.5).
    """
    rng = generator(drawing.seed, Purpose.OVERSAMPLING)
    drawn = [
        rng.choice(np.flatnonzero(dataset.labels == number), rows)
        for number in range(len(dataset.classes))
    ]
    places = np.sort(np.concatenate(drawn)).tolist()
    met: dict[int, int] = {}
    examples = []
    for place in places:
        example = dataset.examples[place]
        copy = met[place] = met.get(place, 0) + 1
        name = f"{example.id}#{copy}" if copy > 1 else example.id
        examples.append(example._replace(id=name, group=example.group or example.id))
    splits = assign_splits(
        [example.label for example in examples],
        [""] * len(examples),
        drawing.validation_fraction,
        drawing.test_fraction,
        drawing.seed,
    )
    check_splits(examples, splits, dataset.classes, allow_shared_groups=True)
    subset = dataset.subset(places)
    return dataclasses.replace(subset, examples=tuple(examples), splits=splits)


def known_from_training(
    sha256: Sequence[str], groups: Sequence[str], splits: Sequence[str] | np.ndarray
) -> np.ndarray:
    """Returns what training tells of each row: "copy", "group" or "nothing"; "all" of its own.

    Args:
      sha256: of the rows' images.
      groups: of the rows; "" is none.
      splits: of the rows.
    """
    rows = list(zip(sha256, groups, splits, strict=True))
    images = {image for image, _, split in rows if split == "train"}
    of_groups = {group for _, group, split in rows if split == "train" and group}

    def known(image: str, group: str, split: str) -> str:
        if split == "train":
            return "all"
        return "copy" if image in images else "group" if group in of_groups else "nothing"

    return np.array([known(*row) for row in rows])


def describe_leak(dataset: ImageDataset) -> str:
    """Returns, in one line, how many held-out rows training knows, by split."""
    known = known_from_training(
        [example.sha256 for example in dataset.examples],
        [example.group for example in dataset.examples],
        dataset.splits,
    )
    told = []
    for split in ("validation", "test"):
        found = known[dataset.splits == split]
        if len(found):
            told.append(
                f"of {len(found)} {split} rows {np.sum(found == 'copy')} are copies of training "
                f"images and {np.sum(found == 'group')} more share a group with one"
            )
    return f"leak: {'; '.join(told)}"
