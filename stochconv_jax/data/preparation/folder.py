"""Anyone's own images: a directory and a table that names them."""

import dataclasses
import pathlib
import re
import unicodedata
from collections.abc import Mapping

from stochconv_jax.data.dataset.manifest import COLUMNS
from stochconv_jax.data.dataset.splits import check_given, split_names
from stochconv_jax.data.image_file import EXTENSIONS
from stochconv_jax.data.preparation.photograph import Photograph
from stochconv_jax.data.preparation.table import read_rows, require_columns
from stochconv_jax.errors import InputError

SOURCE = "folder"
# Columns that are taken over where the table has them, the first of those that it has.
KNOWN_COLUMNS = {
    "lesion_id": ("lesion_id",),
    "patient_id": ("patient_id",),
    "age": ("age", "age_approx", "age_approximate"),
    "sex": ("sex",),
    "site": (
        "site",
        "localization",
        "anatom_site",
        "anatom_site_general",
        "anatom_site_general_challenge",
    ),
}


@dataclasses.dataclass(frozen=True)
class FolderTable:
    """Where a table lies and what its columns are called.

    Attributes:
      directory: where the images lie.
      table: CSV file in UTF-8 with a header, as given or within `directory`.
      image_column: file names; their extension may be left out.
      label_column: classes.
      group_column: what must stay within one split; none where "".
      split_column: train, validation or test; or fold_0, fold_1, ... or test; none where "".
      columns: others that must be there, by our names where these are in KNOWN_COLUMNS.
    """

    directory: str
    table: str
    image_column: str
    label_column: str
    group_column: str = ""
    split_column: str = ""
    columns: tuple[str, ...] = dataclasses.field(default=(), repr=False)

    @property
    def more(self) -> tuple[str, ...]:
        """Columns to keep that are not kept anyway."""
        return tuple(name for name in self.columns if name not in KNOWN_COLUMNS)


def read_folder(folder: FolderTable, with_files: bool = True) -> list[Photograph]:
    """Reads which images there are and what is known of them, in the table's order.

    The columns of KNOWN_COLUMNS are taken over as well; images of one lesion or patient are then
    one group, whether `group_column` names them or not.

    Args:
      folder: the table.
      with_files: whether to look for the files; False for a table without images.

    Raises:
      InputError: the directory or the table is missing, a column or a split is not usable, or a row
        names a file outside the directory.
    """
    path = _table_path(folder)
    rows = read_rows(path)
    names = ("image", "label", "group", "split")
    columns = {name: getattr(folder, f"{name}_column") for name in names}
    settings = {
        column: f"data.{name}_column (prepare: --{name}-column)"
        for name, column in columns.items()
        if column
    }
    require_columns(path, rows[0], settings)
    _check_kept(path, folder, rows[0])
    group, split = columns["group"], columns["split"]
    if group and not any(row[group] for row in rows):
        raise InputError(
            f"the column {group!r} of {path} is empty, so that it groups nothing; name another "
            "or none"
        )
    splits = split_names([row[split] if split else "" for row in rows])
    check_given([row[columns["image"]] for row in rows], splits)
    photographs = []
    for number, (row, own_split) in enumerate(zip(rows, splits, strict=True), start=2):
        name = row[columns["image"]]
        _check_row(f"{path}, row {number}", name, row[columns["label"]])
        if with_files and _leaves(name):
            raise InputError(
                f"{path}, row {number} names {name!r}, which is not a path within "
                f"{folder.directory}; name images by their paths within it"
            )
        photographs.append(
            Photograph(
                id=name,
                source=SOURCE,
                path=_find(pathlib.Path(folder.directory), name) if with_files else None,
                target=row[columns["label"]],
                group=row[group] if group else "",
                split=own_split,
                more={column: row[column] for column in folder.more},
                **{known: value_of(row, known) or "" for known in KNOWN_COLUMNS},
            )
        )
    return photographs


def _check_row(place: str, name: str, label: str) -> None:
    if not name:
        raise InputError(f"{place} names no image; name it or take the row out")
    if len(f"{name}{label}".splitlines()) > 1:
        raise InputError(
            f"{place} goes over several lines, from {name.splitlines()[0]!r} on; close its quotes"
        )


def value_of(row: Mapping[str, str], column: str) -> str | None:
    """Returns what a row says of a column by any of its names, None where the table lacks it."""
    return next((row[name] for name in KNOWN_COLUMNS.get(column, (column,)) if name in row), None)


def _check_kept(path: pathlib.Path, folder: FolderTable, row: dict[str, str]) -> None:
    label = folder.label_column
    for column in folder.columns:
        if value_of(row, column) is None:
            names = " or ".join(repr(name) for name in KNOWN_COLUMNS.get(column, (column,)))
            raise InputError(
                f"{path} has no column {names}, which networks are to be given "
                "(data.numeric_columns, data.category_columns, prepare: --keep-columns); it has "
                + ", ".join(row)
            )
        if label == column or (label in KNOWN_COLUMNS.get(column, ()) and label in row):
            raise InputError(
                f"the column {column!r} of {path} holds the classes, so that the network would be "
                "given what it is to find out; name another"
            )
        if column in set(COLUMNS) - set(KNOWN_COLUMNS):
            raise InputError(
                f"the column {column!r} of {path} is called as one of the manifest's own; give it "
                "another name"
            )


def _table_path(folder: FolderTable) -> pathlib.Path:
    root, path = pathlib.Path(folder.directory), pathlib.Path(folder.table)
    if not root.is_dir():
        raise InputError(
            f"data.directory (prepare: --source) {folder.directory!r} is not a directory; name the "
            "one of the images"
        )
    path = path if path.is_file() else root / folder.table
    if not path.is_file():
        raise InputError(
            f"data.table (prepare: --table) {folder.table!r} is not a file, nor one in "
            f"{folder.directory}; name the CSV that lists the images"
        )
    return path


def _leaves(name: str) -> bool:
    """Returns whether a path that a table names, with either separator, may leave its directory.

    Links are followed, since who owns the directory laid them there; a table may be a stranger's.
    """
    return bool(re.match(r"[/\\]|[A-Za-z]:[/\\]", name)) or ".." in re.split(r"[/\\]", name)


def _find(root: pathlib.Path, name: str) -> pathlib.Path | None:
    suffixes = [suffix for group in EXTENSIONS.values() for suffix in group]
    # Some systems keep names decomposed.
    for form in dict.fromkeys((name, unicodedata.normalize("NFD", name))):
        for suffix in ("", *suffixes, *map(str.upper, suffixes)):
            path = root / (form + suffix)
            try:
                if path.is_file():
                    return path
            except OSError:  # such as a name that is too long for one
                return None
    return None
