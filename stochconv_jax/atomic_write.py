"""Files that are there whole or not at all."""

import csv
import io
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any


def atomic_write(path: pathlib.Path, content: str | bytes) -> None:
    """Writes a file beside its place and moves it there, so that nobody finds half of it.

    Text is written as UTF-8 with its line ends as they are.
    """
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content.encode() if isinstance(content, str) else content)
    part.replace(path)


def write_table(path: pathlib.Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a CSV, whole or not at all."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([header, *rows])
    atomic_write(path, text.getvalue())


def read_table(path: pathlib.Path) -> list[dict[str, str]]:
    """Reads a CSV that `write_table` wrote, a dictionary for each row."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
