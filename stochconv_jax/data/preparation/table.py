"""Reading the CSV files that people have."""

import csv
import pathlib
import re
import unicodedata
from collections.abc import Sequence

from stochconv_jax.errors import InputError


def read_rows(path: pathlib.Path) -> list[dict[str, str]]:
    """Reads a CSV in UTF-8, with or without a byte order mark, stripping every value.

    Values are brought to one normal form of Unicode (NFC), so that what looks the same is the same.

    Raises:
      InputError: it is missing, empty, or not such a file; two columns have one name; or a row has
        more cells than the header.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            # Not strict, a quote that is left open would swallow all that follows.
            reader = csv.DictReader(file, restval=None, strict=True)
            if not reader.fieldnames:
                raise InputError(f"{path} is empty; write a header and a row for each image")
            _check_header(path, reader.fieldnames)
            rows = []
            for row in reader:
                if None in row:
                    raise InputError(
                        f"{path}, line {reader.line_num} has more cells than the header; quote "
                        "values that hold a comma"
                    )
                _check_lines(path, row, reader.line_num)
                values = {name: value or "" for name, value in row.items()}
                if any("\0" in value for value in values.values()):
                    raise csv.Error(f"line {reader.line_num} has zero bytes")
                rows.append({name: normal_form(value.strip()) for name, value in values.items()})
    except FileNotFoundError as error:
        raise InputError(f"{path} is not there; bring the table") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV in UTF-8 ({error}); save it as one") from error
    if not rows:
        raise InputError(f"{path} has a header and no rows; list the images in it")
    return rows


def normal_form(text: str) -> str:
    """Returns a text in the form in which `read_rows` gives every value."""
    return unicodedata.normalize("NFC", text)


def _check_header(path: pathlib.Path, names: Sequence[str]) -> None:
    for name in names:
        if name and names.count(name) > 1:  # a table may end in several columns without a name
            raise InputError(f"{path} has two columns {name!r}; rename or take out one of them")


def _check_lines(path: pathlib.Path, row: dict[str, str | None], last: int) -> None:
    """Refuses a value of several lines that may be rows: a quote before them was left open.

    Such a value begins with what was left of its row and ends with as many cells as stand before
    it, so that the number of commas tells it from most notes of several lines.

    Args:
      path: of the table.
      row: values, None where the row had no more cells.
      last: line of the file.
    """
    missing = list(row.values()).count(None)
    for place, (name, value) in enumerate(row.items()):
        first, *others = (line.count(",") for line in re.split("\r\n|\r|\n", value or ""))
        if not others or others[-1] != place + missing:
            continue
        if first == len(row) - 1 - place or max(others[:-1], default=0) >= len(row) - 1:
            raise InputError(
                f"{path}, line {last}: the value of {name!r} that ends there goes over several "
                "lines that look like rows; close its quotes where it should end"
            )


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
