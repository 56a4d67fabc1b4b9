"""What a table knows of the photographs that are to be predicted."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from stochconv_jax.data.dataset.image_dataset import Example
from stochconv_jax.data.preparation.folder import KNOWN_COLUMNS, value_of
from stochconv_jax.data.preparation.table import normal_form, read_rows, require_columns
from stochconv_jax.errors import InputError
from stochconv_jax.runs.run import Run

Row = Mapping[str, str | None]


def metadata_inputs(
    run: Run, names: Sequence[str], rows: Sequence[Row | None] | None
) -> Sequence[np.ndarray | None]:
    """Returns what a run's network is given of each image beside its pixels.

    Args:
      run: of the network.
      names: of the images.
      rows: what is known of each by column, "" or None where nothing is; None in place of a row
        for an image that has none.

    Returns:
      [N] of float32 [M], M = 0 for a network without a metadata branch; None where there is no row.

    Raises:
      InputError: rows or a column are missing, there are more rows than images or rows that the
        network has no use for, or a number is none.
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
    if len(rows) != len(names):
        raise InputError(
            f"{len(names)} images and {len(rows)} rows of what is known of them are given; give "
            "one row for each image"
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


def rows_of(
    table: Mapping[str, Row], paths: Sequence[pathlib.Path], searched: Sequence[pathlib.Path]
) -> list[Row | None]:
    """Returns the row of each file, None where it has none.

    A row names its file by the path, by the path within a directory that was searched, or by the
    name alone, with or without the extension; the longest that the table has is taken.

    Args:
      table: rows by what they name.
      paths: of the files.
      searched: directories in which files were looked for.

    Raises:
      InputError: two files have one row, or no file has one.
    """
    owners: dict[str, pathlib.Path] = {}
    rows: list[Row | None] = []
    for path in paths:
        name = _name_in(table, path, searched)
        if name is None:
            rows.append(None)
            continue
        owner = owners.setdefault(name, path)
        if owner != path:
            raise InputError(
                f"{owner} and {path} have one row of the table, {name}; write a row for each, by "
                "its path"
            )
        rows.append(table[name])
    if not owners:
        raise InputError(
            f"no file has a row of the table, which names {next(iter(table))}, and {paths[0]} was "
            "looked for; name the directory in which files are called as the table calls them"
        )
    return rows


def _name_in(
    table: Mapping[str, Row], path: pathlib.Path, searched: Sequence[pathlib.Path]
) -> str | None:
    # The parents begin with the nearest; what is within the outermost has the longest name.
    within = [path.relative_to(root) for root in reversed(path.parents) if root in searched]
    names = (
        normal_form(name.as_posix())
        for whole in (path, *within, pathlib.Path(path.name))
        for name in (whole, whole.with_suffix(""))
    )
    return next((name for name in names if name in table), None)


def _known(columns: Sequence[str], row: Row) -> dict[str, str]:
    told = {name: "" if value is None else str(value) for name, value in row.items()}
    known = {column: value_of(told, column) for column in columns}
    for column, value in known.items():
        if value is None:
            names = " or ".join(repr(name) for name in KNOWN_COLUMNS.get(column, (column,)))
            raise InputError(
                f"the table has no column {names}, which the network is given; it has "
                + ", ".join(row)
            )
    return {column: value or "" for column, value in known.items()}
