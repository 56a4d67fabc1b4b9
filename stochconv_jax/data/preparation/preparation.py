"""From photographs to a directory of prepared images: inspect, select, split, write."""

import contextlib
import dataclasses
import pathlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from filelock import FileLock, Timeout

from stochconv_jax.data.dataset.image_dataset import Example
from stochconv_jax.data.dataset.manifest import (
    FILE_NAME,
    RECORDS,
    ManifestRow,
    fingerprint,
    write_manifest,
)
from stochconv_jax.data.dataset.splits import Drawing, fill_splits
from stochconv_jax.data.framing import Framing
from stochconv_jax.data.preparation.inspection import Inspection, inspect_files
from stochconv_jax.data.preparation.photograph import Photograph
from stochconv_jax.data.preparation.prepared_images import PreparedImages, PreparedImagesConfig
from stochconv_jax.data.preparation.selection import select
from stochconv_jax.errors import InputError

# Bits of 256. Copies of one photograph at other sizes differ in 0 to 30, different photographs of
# lesions in 66 and more, of retinas in 30 and more.
NEAR = 16


@dataclasses.dataclass(frozen=True)
class Splitting:
    """How kept images are divided.

    Attributes:
      drawing: of the splits, unless the table gives them.
      by: "group", or "image" as in the published experiment, which leaks.
    """

    drawing: Drawing = dataclasses.field(default_factory=Drawing)
    by: str = "group"


@contextlib.contextmanager
def reserved(output: pathlib.Path) -> Iterator[None]:
    """Keeps other processes from preparing a directory meanwhile; waits for one that does."""
    output.mkdir(parents=True, exist_ok=True)
    lock = FileLock(output / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"waiting for another process that prepares {output}", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a preparation will do.

    Attributes:
      rows: the manifest.
      paths: the kept files, in the manifest's order.
      inspections: of every file.
    """

    rows: list[ManifestRow]
    paths: list[pathlib.Path]
    inspections: Mapping[pathlib.Path, Inspection]

    @property
    def kept(self) -> list[ManifestRow]:
        """Returns the rows of the images that are kept."""
        return [row for row in self.rows if row.kept == "yes"]


def make_plan(
    photographs: Sequence[Photograph],
    framing: Framing,
    splitting: Splitting | None,
    distance: int,
    processes: int,
    output: pathlib.Path | None,
    tables_only: bool = False,
) -> Plan:
    """Inspects every file and decides on every row, writing no image.

    Args:
      photographs: rows of all tables, the oldest source first.
      framing: says which images are too small.
      splitting: divides the images, unless the table does; None to leave that to training.
      distance: bits of 256 in which near-duplicates differ at most; negative to look for none.
      processes: at a time.
      output: where inspections are kept for the next time; None to keep nothing.
      tables_only: whether to take every image for present and usable.

    Raises:
      InputError: no image is left, or they cannot be divided.
    """
    inspections = None
    if not tables_only:
        paths = [photograph.path for photograph in photographs if photograph.path]
        inspections = inspect_files(paths, output and output / "inspected.csv", processes)
    rows = select(photographs, inspections, framing, distance)
    if splitting is not None and splitting.drawing.beside_test and splitting.by == "group":
        rows = _without_links_to_test(rows)
    places = [number for number, row in enumerate(rows) if row.kept == "yes"]
    if not places:
        reasons = ", ".join(sorted({row.reason for row in rows})[:3])
        raise InputError(f"none of the {len(rows)} images can be used: {reasons}")
    kept = [rows[place] for place in places]
    if splitting is not None:
        by = "group" if splitting.by == "group" else "id"
        examples = [Example(row.id, row.target, getattr(row, by), row.split) for row in kept]
        splits = fill_splits(examples, splitting.drawing)
        for place, split in zip(places, splits, strict=True):
            rows[place] = rows[place]._replace(split=str(split))
    files = [photographs[place].path for place in places]
    return Plan(rows, [file for file in files if file], inspections or {})


def _without_links_to_test(rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    """Leaves out what is to be divided and stands in one group with images that come as test."""
    tested = {row.group for row in rows if row.kept == "yes" and row.split == "test"}
    return [
        row._replace(kept="no", reason="in one group with images of the given test split")
        if row.kept == "yes" and not row.split and row.group in tested
        else row
        for row in rows
    ]


def write_prepared(
    plan: Plan, framing: Framing, output: pathlib.Path, processes: int, **beam: Any
) -> None:
    """Writes the kept images, unless that is done, and the manifest.

    Args:
      plan: what to write.
      framing: crop and size.
      output: directory to be.
      processes: at a time.
      **beam: beam_runner and beam_options of `tfds.download.DownloadConfig`, to run on Apache Beam
        in place of processes.
    """
    workspace = output / "work" / framing.name
    config = PreparedImagesConfig(
        name=f"{framing.name}_{fingerprint(plan.kept)}",
        ids=tuple(row.id for row in plan.kept),
        files=tuple((path, row.sha256) for path, row in zip(plan.paths, plan.kept, strict=True)),
        framing=framing,
        workspace=workspace,
        processes=processes,
        with_beam=bool(beam),
    )
    PreparedImages(data_dir=str(output), config=config).write(**beam)
    write_manifest(output / FILE_NAME, plan.rows)
    shutil.rmtree(output / "work", ignore_errors=True)
    versions = (output / RECORDS / config.name).iterdir()
    for other in [*(output / RECORDS).iterdir(), *versions]:
        if other.name not in (config.name, str(PreparedImages.VERSION)):
            shutil.rmtree(other)
