"""Anyone's own images: a directory and a table that names them."""

import dataclasses
import pathlib

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
    "age": ("age", "age_approx"),
    "sex": ("sex",),
    "site": ("site", "localization", "anatom_site"),
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
    """

    directory: str
    table: str
    image_column: str
    label_column: str
    group_column: str = ""
    split_column: str = ""


def read_folder(folder: FolderTable) -> list[Photograph]:
    """Reads which images there are and what is known of them, in the table's order.

    The columns of KNOWN_COLUMNS are taken over as well; images of one lesion or patient are then
    one group, whether `group_column` names them or not.

    Raises:
      InputError: the directory or the table is missing, or a column or a split is not usable.
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
        if not name:
            raise InputError(f"{path}, row {number} names no image; name it or take the row out")
        photographs.append(
            Photograph(
                id=name,
                source=SOURCE,
                path=_find(pathlib.Path(folder.directory), name),
                target=row[columns["label"]],
                group=row[group] if group else "",
                split=own_split,
                **{
                    known: next((row[name] for name in names if name in row), "")
                    for known, names in KNOWN_COLUMNS.items()
                },
            )
        )
    return photographs


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


def _find(root: pathlib.Path, name: str) -> pathlib.Path | None:
    suffixes = [suffix for group in EXTENSIONS.values() for suffix in group]
    for suffix in ("", *suffixes, *map(str.upper, suffixes)):
        path = root / (name + suffix)
        if path.is_file():
            return path
    return None
