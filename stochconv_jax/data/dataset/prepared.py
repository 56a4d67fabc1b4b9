"""Opening a directory of prepared images."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

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
from stochconv_jax.data.dataset.records import open_records
from stochconv_jax.data.dataset.splits import Drawing, resolve_splits
from stochconv_jax.errors import InputError

# Columns of the manifest that evaluations are broken down by.
KNOWN = ("source", "width", "height", "age", "sex", "site")


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
    kept = [row for row in read_manifest(directory / FILE_NAME) if row.kept == "yes"]
    found = list((directory / RECORDS).glob(f"*_{fingerprint(kept)}/*"))
    if len(found) != 1:
        raise InputError(
            f"{directory} does not hold the images of its {FILE_NAME}; prepare them again"
        )
    records, framing = open_records(found[0])
    size = framing.size
    if size != opening.size:
        raise InputError(
            f"the images in {directory} are {size[0]}x{size[1]} and data.high_size is "
            f"{opening.size[0]}x{opening.size[1]}; set data.high_size or prepare them again"
        )
    column = opening.label_column
    if column not in ("target", "dx", "dx7"):
        raise InputError(f"data.label_column is {column!r}; prepared images have target, dx, dx7")
    labelled = [n for n, row in enumerate(kept) if getattr(row, column)]
    examples = tuple(_example(kept[n], column) for n in labelled)
    classes = order_classes({example.label for example in examples}, opening.positive_class)
    splits = resolve_splits(examples, opening.fold, opening.drawing)
    check_splits(examples, splits, classes, opening.allow_shared_groups)
    return ImageDataset(_Rows(records, labelled), examples, classes, splits, framing)


def _example(row: ManifestRow, label_column: str) -> Example:
    if not row.group:
        raise InputError(f"{row.id} has no group; write the image's id where it stands alone")
    known = {name: getattr(row, name) for name in KNOWN}
    label = getattr(row, label_column)
    return Example(row.id, label, row.group, row.split, known, row.sha256)


class _Rows(Sequence):
    """Some rows of the records, in their order."""

    def __init__(self, records: Sequence[dict[str, Any]], rows: list[int]):
        self.records = records
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.records[self.rows[index]]
