"""The labelled images that are looked at: a folder with a table, or what was prepared."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from stochconv_jax.data.dataset.image_dataset import Example, ImageDataset, order_classes
from stochconv_jax.data.dataset.manifest import FILE_NAME
from stochconv_jax.data.dataset.prepared import open_images
from stochconv_jax.data.framing import Framing
from stochconv_jax.data.preparation.photograph import Photograph
from stochconv_jax.data.preparation.preparation import Plan, make_plan
from stochconv_jax.errors import InputError

# Of the size that is chosen: its sides are multiples of this, and its area is at most that.
MULTIPLE = 32
MOST_PIXELS = 1 << 20
# So small that shrunk by sixteen something is left.
LEAST_SIDE = 16
NO_MINIMUM = (1, 1)


class FoundImages(NamedTuple):
    """Images to look at.

    Attributes:
      dataset: of the images, at full size.
      left_out: why others are not among them, a sentence each.
      larger: the medians of the photographs' (height, width), where full size was chosen below
        them; None otherwise.
    """

    dataset: ImageDataset
    left_out: tuple[str, ...]
    larger: tuple[int, int] | None = None


class FramedFiles(Sequence):
    """Files as records: each is framed when it is asked for, and not kept."""

    def __init__(self, paths: Sequence[pathlib.Path], framing: Framing):
        self.paths = paths
        self.framing = framing

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        return {"image": self.framing.encode(self.paths[index])}


def folder_images(
    photographs: Sequence[Photograph],
    size: tuple[int, int] | None,
    output: pathlib.Path,
    processes: int,
) -> FoundImages:
    """Inspects images of a table; they are framed to one size as preparation frames them.

    Files of the same bytes are one image. Images that only look alike stay: where classes differ in
    fine detail alone, they all do.

    Args:
      photographs: the rows of the table.
      size: (height, width) to which images are resized; None for `typical_size`.
      output: where inspections are kept for the next time.
      processes: at a time.

    Raises:
      InputError: no image is left, they are too small, or there is one class only.
    """
    any_size = Framing(NO_MINIMUM, NO_MINIMUM)
    plan = make_plan(photographs, any_size, None, -1, processes, output)
    framing = Framing(size or typical_size(plan), NO_MINIMUM)
    examples = [Example(row.id, row.target, row.group, "", {}, row.sha256) for row in plan.kept]
    left_out = [f"{row.id}: {row.reason}" for row in plan.rows if row.kept == "no"]
    dataset = _dataset(FramedFiles(plan.paths, framing), examples, framing)
    height, width = median_size(plan)
    capped = size is None and height * width > MOST_PIXELS
    return FoundImages(dataset, tuple(left_out), (int(height), int(width)) if capped else None)


def prepared_images(directory: pathlib.Path, label_column: str) -> FoundImages:
    """Opens what `python -m stochconv_jax.prepare` left in a directory, all of its splits.

    Raises:
      InputError: there is nothing, it is incomplete, there is no such column, one class only, or
        the images are too small.
    """
    if not (directory / FILE_NAME).is_file():
        raise InputError(
            f"--source {directory} holds no {FILE_NAME}; prepare it with "
            "python -m stochconv_jax.prepare, or name another"
        )
    records, examples, framing = open_images(directory, label_column)
    return FoundImages(_dataset(records, examples, framing), ())


def median_size(plan: Plan) -> tuple[float, float]:
    """Returns the median of the heights and that of the widths of a plan's images."""
    height = float(np.median([int(row.height) for row in plan.kept]))
    width = float(np.median([int(row.width) for row in plan.kept]))
    return height, width


def typical_size(plan: Plan) -> tuple[int, int]:
    """Returns the (height, width) at which the images of a plan are looked at.

    Their `median_size`, both sides scaled down alike where their product is
    beyond 2**20 pixels, and rounded down to multiples of 32, 32 or more.
    """
    height, width = median_size(plan)
    scale = min(1.0, (MOST_PIXELS / (height * width)) ** 0.5)
    tall, wide = (max(1, int(side * scale) // MULTIPLE) * MULTIPLE for side in (height, width))
    return tall, wide


def _dataset(records: Sequence, examples: Sequence[Example], framing: Framing) -> ImageDataset:
    if min(framing.size) < LEAST_SIDE:
        height, width = framing.size
        raise InputError(
            f"images of {height}x{width} are too small to be shrunk by 16; give sides of "
            f"{LEAST_SIDE} pixels or more"
        )
    classes = order_classes({example.label for example in examples}, "")
    everything = np.full(len(examples), "test")
    return ImageDataset(records, tuple(examples), classes, everything, framing)
