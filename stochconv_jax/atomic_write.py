"""Files and directories that are there whole or not at all."""

import contextlib
import csv
import os
import pathlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from typing import Any


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


def read_table(path: pathlib.Path) -> list[dict[str, str]]:
    """Reads a CSV that `write_table` wrote, a dictionary for each row."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
