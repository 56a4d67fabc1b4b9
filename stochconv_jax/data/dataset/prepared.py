"""Opening a directory of prepared images."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from stochconv_jax.data.dataset.image_dataset import (
    Example,
    ImageDataset,
    check_splits,
    order_classes,
)
from stochconv_jax.data.dataset.manifest import (
    FILE_NAME,
    RECORDS,
    ManifestRow,
    fingerprint,
    read_manifest,
)
from stochconv_jax.data.dataset.records import SomeRecords, open_records
from stochconv_jax.data.dataset.splits import Drawing, resolve_splits
from stochconv_jax.data.framing import Framing
from stochconv_jax.errors import InputError

# Columns of the manifest that evaluations are broken down by.
KNOWN = ("source", "width", "height", "age", "sex", "site")
LABEL_COLUMNS = ("target", "dx", "dx7")


@dataclasses.dataclass(frozen=True)
class Opening:
    """What of prepared images is used for what.

    Attributes:
      size: (height, width) that they must have.
      label_column: of the manifest: target, dx or dx7; images without such a label are left out.
      positive_class: of two classes; "" for the last in order.
      fold: of images that are divided into folds, the one that validates.
      drawing: of the splits, where the manifest leaves them open.
      allow_shared_groups: whether one group may stand in several splits.
    """

    size: tuple[int, int]
    label_column: str = "target"
    positive_class: str = ""
    fold: int = 0
    drawing: Drawing = dataclasses.field(default_factory=Drawing)
    allow_shared_groups: bool = False


def open_prepared(directory: pathlib.Path, opening: Opening) -> ImageDataset:
    """Opens what `python -m stochconv_jax.prepare` left in a directory.

    Raises:
      InputError: there is nothing, it is incomplete, its images have another size, or its splits
        cannot be used.
    """
    images = open_images(directory, opening.label_column)
    examples, size = images.examples, images.framing.size
    if size != opening.size:
        raise InputError(
            f"the images in {directory} are {size[0]}x{size[1]} and data.high_size is "
            f"{opening.size[0]}x{opening.size[1]}; set data.high_size or prepare them again"
        )
    classes = order_classes({example.label for example in examples}, opening.positive_class)
    splits = resolve_splits(examples, opening.fold, opening.drawing)
    check_splits(examples, splits, classes, opening.allow_shared_groups)
    return ImageDataset(images.records, examples, classes, splits, images.framing)


class Images(NamedTuple):
    """Labelled images of a prepared directory, whatever they are for."""

    records: Sequence[dict[str, Any]]
    examples: tuple[Example, ...]
    framing: Framing


def open_images(directory: pathlib.Path, label_column: str) -> Images:
    """Opens the images of a prepared directory that have a label in a column of the manifest.

    Raises:
      InputError: there is nothing, it is incomplete, or there is no such column.
    """
    kept = [row for row in read_manifest(directory / FILE_NAME) if row.kept == "yes"]
    found = list((directory / RECORDS).glob(f"*_{fingerprint(kept)}/*"))
    if len(found) != 1:
        raise InputError(
            f"{directory} does not hold the images of its {FILE_NAME}; prepare them again"
        )
    if label_column not in LABEL_COLUMNS:
        raise InputError(
            f"data.label_column is {label_column!r}; prepared images have "
            + ", ".join(LABEL_COLUMNS)
        )
    records, framing = open_records(found[0])
    if len(records) != len(kept):
        raise InputError(
            f"{found[0]} holds {len(records)} images and {FILE_NAME} names {len(kept)}; prepare "
            "them again"
        )
    labelled = [place for place, row in enumerate(kept) if getattr(row, label_column)]
    examples = tuple(example_of(kept[place], label_column) for place in labelled)
    return Images(SomeRecords(records, labelled), examples, framing)


def example_of(row: ManifestRow, label_column: str) -> Example:
    """Returns what a kept row of a manifest says.

    Raises:
      InputError: it has no group.
    """
    if not row.group:
        raise InputError(f"{row.id} has no group; write the image's id where it stands alone")
    known = {**{name: getattr(row, name) for name in KNOWN}, **row.more}
    label = getattr(row, label_column)
    return Example(row.id, label, row.group, row.split, known, row.sha256)
