"""A table without images, for networks that read no pixels."""

import hashlib
import json

from stochconv_jax.data.dataset.image_dataset import (
    Example,
    ImageDataset,
    check_splits,
    order_classes,
)
from stochconv_jax.data.dataset.prepared import Opening, example_of
from stochconv_jax.data.dataset.splits import resolve_splits
from stochconv_jax.data.preparation.folder import FolderTable, read_folder
from stochconv_jax.data.preparation.preparation import make_plan
from stochconv_jax.data.preparation.prepared_images import NO_FRAMING
from stochconv_jax.data.preparation.summary import describe_dropped


def table_examples(folder: FolderTable) -> tuple[Example, ...]:
    """Returns the rows of a table as preparation reads them, but for what files would tell.

    Rows of one name are one, rows without a class are left out, and the groups are those of images.

    Raises:
      InputError: the table or a column is not usable.
    """
    photographs = read_folder(folder, with_files=False)
    plan = make_plan(photographs, NO_FRAMING, None, -1, 1, None, tables_only=True)
    dropped = describe_dropped(plan.rows)
    if dropped:
        print(f"left out: {dropped}", flush=True)
    examples = (example_of(row, "target") for row in plan.kept)
    return tuple(example._replace(sha256=_digest(example)) for example in examples)


def open_table(folder: FolderTable, opening: Opening) -> ImageDataset:
    """Opens a table as a data set without records.

    Raises:
      InputError: the table, a column or the splits are not usable.
    """
    examples = table_examples(folder)
    classes = order_classes({example.label for example in examples}, opening.positive_class)
    splits = resolve_splits(examples, opening.fold, opening.drawing)
    check_splits(examples, splits, classes, opening.allow_shared_groups)
    return ImageDataset((), examples, classes, splits, NO_FRAMING)


def _digest(example: Example) -> str:
    """SHA-256 of the name and of what is known beside label and group, for want of a file.

    So a row is the same one under a corrected label and where its group is not named.
    """
    row = [example.id, sorted(example.known.items())]
    return hashlib.sha256(json.dumps(row).encode()).hexdigest()
