"""Files and directories that are there whole or not at all."""

import contextlib
import csv
import os
import pathlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from stochconv_jax.errors import InputError


def atomic_write(path: pathlib.Path, content: str | bytes) -> None:
    """Writes a file beside its place and moves it there, so that nobody finds half of it.

    Text is written as UTF-8 with its line ends as they are.
    """
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content.encode() if isinstance(content, str) else content)
    part.replace(path)


@contextlib.contextmanager
def new_directory(path: pathlib.Path, mode: int = 0o777) -> Iterator[pathlib.Path]:
    """Gives a directory to write into, which has its name once the block has ended well.

    It lies beside its place, under a name that is nobody else's; of a block that fails, nothing is
    left.

    Args:
      path: that it gets; nothing, or an empty directory, may be there.
      mode: its permissions, less the process's umask.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.mkdir(mode)
    try:
        yield part
        part.replace(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_table(path: pathlib.Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a CSV, whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    part.replace(path)


def read_table(path: pathlib.Path, columns: Sequence[str] = ()) -> list[dict[str, str]]:
    """Reads a CSV that `write_table` wrote, a dictionary for each row.

    Args:
      path: of the file.
      columns: that must be there.

    Raises:
      InputError: it is damaged, or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file, strict=True))
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path} is damaged ({error}); make it anew") from error
    if not lines:
        raise InputError(f"{path} is damaged (it is empty); make it anew")
    header, *rows = lines
    for column in columns:
        if header.count(column) != 1:
            raise InputError(f"{path} is damaged (no one column {column!r}); make it anew")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise InputError(
                f"{path} is damaged (row {number} has {len(row)} cells and the header "
                f"{len(header)}); make it anew"
            )
    return [dict(zip(header, row, strict=True)) for row in rows]
