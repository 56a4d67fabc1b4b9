"""Reading the CSV files that people have."""

import csv
import pathlib

from stochconv_jax.errors import InputError


def read_rows(path: pathlib.Path) -> list[dict[str, str]]:
    """Reads a CSV in UTF-8, with or without a byte order mark, stripping every value.

    Raises:
      InputError: it is missing, empty, or not such a file.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            if not reader.fieldnames:
                raise InputError(f"{path} is empty; write a header and a row for each image")
            rows = [
                {name: value.strip() for name, value in row.items() if name is not None}
                for row in reader
            ]
    except FileNotFoundError as error:
        raise InputError(f"{path} is not there; bring the table") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV in UTF-8 ({error}); save it as one") from error
    if not rows:
        raise InputError(f"{path} has a header and no rows; list the images in it")
    return rows


def require_columns(path: pathlib.Path, row: dict[str, str], columns: dict[str, str]) -> None:
    """Checks that a table has columns; `columns` says by which setting each was asked for.

    Raises:
      InputError: one is missing.
    """
    for column, setting in columns.items():
        if column not in row:
            raise InputError(
                f"{path} has no column {column!r}; {setting} must be one of: " + ", ".join(row)
            )
