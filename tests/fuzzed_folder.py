"""What must be true of any folder of images and any table, in preparation and in prediction."""

import pathlib
import random

from image_files import KINDS, damaged_file, image_file
from mutations import found_or_told
from table_files import table_file

from stochconv_jax.data.framing import Framing
from stochconv_jax.data.preparation.folder import FolderTable, read_folder
from stochconv_jax.data.preparation.inspection import inspect_file
from stochconv_jax.data.preparation.selection import select
from stochconv_jax.data.preparation.table import normal_form
from stochconv_jax.inference.photographs import frame_photograph

FRAMING = Framing((16, 16), (1, 1), crop_above=200, crop_to=20)
NEAR = 16


def write_images(directory: pathlib.Path, count: int, rng: random.Random) -> list[str]:
    """Writes images, most of them damaged and some under the extension of another kind."""
    names = []
    for number in range(count):
        kind = rng.choice(list(KINDS))
        make = image_file if not rng.randrange(4) else damaged_file
        suffix = pathlib.Path(kind if rng.randrange(8) else rng.choice(list(KINDS))).suffix
        names.append(f"{number}{suffix}")
        (directory / names[-1]).write_bytes(make(kind, rng))
    return names


def check_image(path: pathlib.Path) -> str:
    """Checks that preparation and prediction use an image alike, or name why not; returns that."""
    inspection = inspect_file(path)
    framed, told = found_or_told(frame_photograph, path, FRAMING)
    assert inspection.problem == told
    assert "\n" not in inspection.problem
    if not told:
        assert min(inspection.width, inspection.height) > 0
        assert framed.jpeg.startswith(b"\xff\xd8")
    return told


def check_table(directory: pathlib.Path, names: list[str], rng: random.Random) -> str:
    """Checks that a table is refused, or every row of it used or told; returns the refusal."""
    content = table_file(names, rng)
    (directory / "labels.csv").write_bytes(content)
    folder = FolderTable(str(directory), "labels.csv", "image", "target", "patient")
    photographs, told = found_or_told(read_folder, folder)
    if told:
        return told
    text = content.decode("utf-8-sig")
    # A line is a row, but for the quote that ends the last cell of a table that was cut.
    lines = [line for line in text.splitlines()[1:] if line not in ("", '"')]
    assert len(photographs) == len(lines)
    for photograph, line in zip(photographs, lines, strict=True):
        assert photograph.id in normal_form(line.replace('""', '"'))
    inspections = {each.path: inspect_file(each.path) for each in photographs if each.path}
    rows = select(photographs, inspections, FRAMING, NEAR)
    assert [row.id for row in rows] == [photograph.id for photograph in photographs]
    for row in rows:
        assert row.reason or row.kept == "yes"
        assert row.kept == "no" or row.target
    kept = [row.id for row in rows if row.kept == "yes"]
    assert len(set(kept)) == len(kept)
    return ""
