"""What a table knows of the photographs that are to be predicted."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from stochconv_jax.data.dataset.image_dataset import Example
from stochconv_jax.data.preparation.folder import KNOWN_COLUMNS, value_of
from stochconv_jax.data.preparation.table import read_rows, require_columns, stated
from stochconv_jax.errors import InputError
from stochconv_jax.runs.run import Run

Row = Mapping[str, str]


def metadata_inputs(
    run: Run, names: Sequence[str], rows: Sequence[Row | None] | None
) -> Sequence[np.ndarray | None]:
    """Returns what a run's network is given of each image beside its pixels.

    Args:
      run: of the network.
      names: of the images.
      rows: what is known of each by column; None of an image of which nothing is.

    Returns:
      [N] of float32 [M], M = 0 for a network without a metadata branch; None where there is no row.

    Raises:
      InputError: rows or a column are missing, there are rows that the network has no use for, or a
        number is none.
    """
    if run.metadata is None:
        if rows is not None:
            raise InputError(f"the network of {run.directory} reads no table; leave it out")
        return [np.empty(0, np.float32)] * len(names)
    if rows is None:
        raise InputError(
            f"the network of {run.directory} is given {', '.join(run.metadata.columns)} of each "
            "image; bring a table of them (--table)"
        )
    found = [
        Example(name, "", "", "", _known(run.metadata.columns, row))
        for name, row in zip(names, rows, strict=True)
        if row is not None
    ]
    for sentence in run.metadata.unseen(found):
        print(sentence, flush=True)
    inputs = iter(run.metadata(found))
    return [None if row is None else next(inputs) for row in rows]


def read_metadata_table(path: pathlib.Path, image_column: str) -> dict[str, Row]:
    """Reads a table as {image: row}.

    Raises:
      InputError: it is not usable, or names an image twice or not at all.
    """
    rows = read_rows(path)
    require_columns(path, rows[0], {image_column: "--image-column"})
    found: dict[str, Row] = {}
    for number, row in enumerate(rows, start=2):
        name = row[image_column]
        if not name or name in found:
            again = f"names {name} again" if name else "names no image"
            raise InputError(f"{path}, row {number} {again}; leave one row for each image")
        found[name] = row
    return found


def row_of(table: Mapping[str, Row], path: pathlib.Path) -> Row | None:
    """Returns the row of a file, by its path, its name or its name without the extension."""
    return next((table[name] for name in (str(path), path.name, path.stem) if name in table), None)


def _known(columns: Sequence[str], row: Row) -> Row:
    known = {column: value_of(row, column) for column in columns}
    for column, value in known.items():
        if value is None:
            names = " or ".join(repr(name) for name in KNOWN_COLUMNS.get(column, (column,)))
            raise InputError(
                f"the table has no column {names}, which the network is given; it has "
                + ", ".join(row)
            )
    return {column: stated(str(value).strip()) for column, value in known.items()}
