"""The table beside prepared images: a row for every image that was met, kept or not."""

import csv
import hashlib
import pathlib
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from stochconv_jax.atomic_write import write_table
from stochconv_jax.errors import InputError

FILE_NAME = "manifest.csv"
# The directory beside it that holds the images.
RECORDS = "prepared_images"


class ManifestRow(NamedTuple):
    """What is known of an image, "" where nothing is.

    Attributes:
      id: the image's name.
      source: the table that names it.
      target: its class.
      dx: its diagnosis, of more classes than `target`.
      dx7: the same in the seven classes of ISIC 2018.
      width: of the file, pixels.
      height: of the file, pixels.
      lesion_id: as the source says.
      patient_id: as the source says.
      group: what must stay in one split: images linked by lesion, patient or likeness.
      age: years.
      sex: of the patient.
      site: place on the body.
      split: train, validation or test; or fold_0, fold_1, ... or test; "" to draw it at training.
      kept: "yes" or "no".
      reason: why it was left out, or what is odd about it.
      sha256: of the file.
      more: other columns that were kept, or written into the manifest by hand.
    """

    id: str
    source: str
    target: str
    dx: str = ""
    dx7: str = ""
    width: str = ""
    height: str = ""
    lesion_id: str = ""
    patient_id: str = ""
    group: str = ""
    age: str = ""
    sex: str = ""
    site: str = ""
    split: str = ""
    kept: str = "no"
    reason: str = ""
    sha256: str = ""
    more: Mapping[str, str] = types.MappingProxyType({})


# Each has a column of its name; `more` has as many as it holds.
COLUMNS = ManifestRow._fields[:-1]


def write_manifest(path: pathlib.Path, rows: Iterable[ManifestRow]) -> None:
    """Writes a manifest, whole or not at all."""
    rows = list(rows)
    more = list(dict.fromkeys(name for row in rows for name in row.more))
    written = ((*row[:-1], *(row.more.get(name, "") for name in more)) for row in rows)
    write_table(path, [*COLUMNS, *more], written)


def read_manifest(path: pathlib.Path) -> list[ManifestRow]:
    """Reads a manifest.

    Raises:
      InputError: it is not one, or an image is neither kept nor left out.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            missing = set(COLUMNS) - set(reader.fieldnames or ())
            if missing:
                raise InputError(
                    f"{path} lacks the columns {', '.join(sorted(missing))}; prepare the images "
                    "again"
                )
            names = reader.fieldnames or ()
            if len(set(names)) < len(names):
                raise csv.Error("two columns have one name")
            more = [name for name in names if name not in COLUMNS]
            # A sex or a source stands in the memory once, not once a row.
            met: dict[str, str] = {}
            rows = []
            for cells in reader:
                if None in cells or None in cells.values():
                    raise csv.Error(f"line {reader.line_num} has not the cells of the header")
                known = {name: met.setdefault(cells[name], cells[name]) for name in COLUMNS}
                rows.append(ManifestRow(**known, more={name: cells[name] for name in more}))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is damaged ({error}); prepare the images again") from error
    for row in rows:
        if row.kept not in ("yes", "no"):
            raise InputError(f"{path}: {row.id} is kept {row.kept!r}; write yes or no")
    return rows


def fingerprint(kept: Sequence[ManifestRow]) -> str:
    """Returns what distinguishes the kept images, in their order, from all others."""
    digest = hashlib.sha256()
    for row in kept:
        digest.update(repr((row.id, row.sha256)).encode())
    return digest.hexdigest()[:12]
