"""The ISIC challenges of 2016 to 2020 as they are downloaded.

Malignant (target 1) are, as in Reekie 2021: melanoma (2016, 2017); MEL, BCC, AKIEC (2018); MEL,
BCC, AK, SCC (2019); what the table of 2020 calls so.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from stochconv_jax.data.preparation.photograph import Photograph
from stochconv_jax.data.preparation.table import read_rows, require_columns
from stochconv_jax.errors import InputError

MALIGNANT = ("mel", "bcc", "ak", "akiec", "scc")
SEVEN_CLASSES = {"ak": "akiec", "scc": ""}
DIAGNOSES_2020 = {
    "melanoma": "mel",
    "nevus": "nv",
    "seborrheic keratosis": "bkl",
    "lentigo NOS": "bkl",
    "lichenoid keratosis": "bkl",
    "solar lentigo": "bkl",
}

Row = dict[str, str]


def read_isic(root: pathlib.Path, tables_only: bool = False) -> list[Photograph]:
    """Reads every challenge that is present under a directory, the oldest first.

    Args:
      root: holds the challenges' tables and directories of images by their published names.
      tables_only: whether to leave the images alone, whether they are there or not.

    Returns:
      A photograph for each row of each table; without a path where its file is missing.

    Raises:
      InputError: there is no such table, or one lacks a column.
    """
    if not root.is_dir():
        raise InputError(f"--source {root} is not a directory; name that of the challenges")
    found = [photograph for read in _CHALLENGES for photograph in read(root)]
    if not found:
        raise InputError(
            f"{root} holds no table of an ISIC challenge by its published name, such as "
            "ISIC_2019_Training_GroundTruth.csv; put the tables there beside the images"
        )
    if tables_only:
        return [dataclasses.replace(photograph, path=None) for photograph in found]
    return found


def _read_2016(root: pathlib.Path) -> Iterator[Photograph]:
    table = root / "ISBI2016_ISIC_Part3_Training_GroundTruth.csv"
    if not table.exists():
        return
    find = _finder(root, "ISBI2016_ISIC_Part3_Training_Data")
    lines = [line.split(",") for line in table.read_text(encoding="utf-8-sig").splitlines() if line]
    for line in lines:
        name, label = line[0].strip(), line[-1].strip()
        if label not in ("benign", "malignant"):
            if line is lines[0]:  # published without a header, and passed on with one
                continue
            raise InputError(f"{table}: {name} is {label!r}; it must be benign or malignant")
        yield Photograph(name, "isic2016", find(name), str(int(label == "malignant")))


def _read_2017(root: pathlib.Path) -> Iterator[Photograph]:
    for part in ("Training", "Validation", "Test_v2"):
        table = root / f"ISIC-2017_{part}_Part3_GroundTruth.csv"
        if not table.exists():
            continue
        about = _by_name(root / f"ISIC-2017_{part}_Data_metadata.csv", "image_id")
        find = _finder(root, f"ISIC-2017_{part}_Data")
        for row in _rows(table, "image_id", "melanoma", "seborrheic_keratosis"):
            name, known = row["image_id"], about.get(row["image_id"], {})
            dx = _chosen(table, name, {"mel": row["melanoma"], "bkl": row["seborrheic_keratosis"]})
            yield _photograph(
                name,
                "isic2017",
                find(name),
                dx or "nv",
                age=known.get("age_approximate", ""),
                sex=known.get("sex", ""),
            )


def _read_2018(root: pathlib.Path) -> Iterator[Photograph]:
    find = _finder(
        root, "ISIC2018_Task3_Training_Input", "HAM10000_images_part_1", "HAM10000_images_part_2"
    )
    about = _by_name(root / "HAM10000_metadata.csv", "image_id")
    table = root / "ISIC2018_Task3_Training_GroundTruth.csv"
    if table.exists():
        diagnoses = {
            row["image"]: _chosen(
                table, row["image"], {key.lower(): row[key] for key in row if key != "image"}
            )
            for row in _rows(table, "image", "MEL")
        }
    else:
        diagnoses = {name: row["dx"] for name, row in about.items()}
    for name, dx in diagnoses.items():
        known = about.get(name, {})
        yield _photograph(
            name,
            "isic2018",
            find(name),
            dx,
            lesion_id=known.get("lesion_id", ""),
            age=known.get("age", ""),
            sex=known.get("sex", ""),
            site=known.get("localization", ""),
        )


def _read_2019(root: pathlib.Path) -> Iterator[Photograph]:
    table = root / "ISIC_2019_Training_GroundTruth.csv"
    if not table.exists():
        return
    about = _by_name(root / "ISIC_2019_Training_Metadata.csv", "image")
    find = _finder(root, "ISIC_2019_Training_Input")
    for row in _rows(table, "image", "MEL"):
        name, known = row["image"], about.get(row["image"], {})
        columns = {key.lower(): row[key] for key in row if key not in ("image", "UNK")}
        yield _photograph(
            name,
            "isic2019",
            find(name),
            _chosen(table, name, columns),
            lesion_id=known.get("lesion_id", ""),
            age=known.get("age_approx", ""),
            sex=known.get("sex", ""),
            site=known.get("anatom_site_general", ""),
        )


def _read_2020(root: pathlib.Path) -> Iterator[Photograph]:
    tables = [root / f"ISIC_2020_Training_GroundTruth{version}.csv" for version in ("_v2", "")]
    table = next((path for path in tables if path.exists()), None)
    if table is None:
        return
    find = _finder(root, "ISIC_2020_Training_JPEG", "train")
    twins = _twins(root / "ISIC_2020_Training_Duplicates.csv")
    for row in _rows(table, "image_name", "target"):
        name, dx = row["image_name"], DIAGNOSES_2020.get(row.get("diagnosis", ""), "")
        yield Photograph(
            name,
            "isic2020",
            find(name),
            row["target"],
            dx,
            SEVEN_CLASSES.get(dx, dx),
            row.get("lesion_id", ""),
            row.get("patient_id", ""),
            picture=twins.get(name, ""),
            age=row.get("age_approx", ""),
            sex=row.get("sex", ""),
            site=row.get("anatom_site_general_challenge", ""),
        )


_CHALLENGES: tuple[Callable[[pathlib.Path], Iterator[Photograph]], ...] = (
    _read_2016,
    _read_2017,
    _read_2018,
    _read_2019,
    _read_2020,
)


def _photograph(
    name: str, source: str, path: pathlib.Path | None, dx: str, **about: Any
) -> Photograph:
    target = str(int(dx in MALIGNANT)) if dx else ""
    return Photograph(name, source, path, target, dx, SEVEN_CLASSES.get(dx, dx), **about)


def _rows(table: pathlib.Path, *columns: str) -> list[Row]:
    rows = read_rows(table)
    require_columns(table, rows[0], dict.fromkeys(columns, "its columns as published"))
    return rows


def _by_name(table: pathlib.Path, column: str) -> dict[str, Row]:
    if not table.exists():
        return {}
    return {row[column]: row for row in _rows(table, column)}


def _chosen(table: pathlib.Path, name: str, columns: dict[str, str]) -> str:
    """Returns the one class that a row marks with 1, or "" where it marks none."""
    marked = [dx for dx, value in columns.items() if value in ("1", "1.0")]
    if len(marked) > 1:
        raise InputError(f"{table}: {name} is of several classes ({', '.join(marked)}); keep one")
    return marked[0] if marked else ""


def _twins(table: pathlib.Path) -> dict[str, str]:
    """Returns which images of 2020 the challenge itself lists as duplicates of one another."""
    if not table.exists():
        return {}
    twins: dict[str, str] = {}
    for row in _rows(table, "image_name_1", "image_name_2"):
        one, other = row["image_name_1"], row["image_name_2"]
        first, second = twins.get(one, one), twins.get(other, other)
        # What was a copy of the second is now one of the first.
        twins |= {name: first for name, of in twins.items() if of == second}
        twins |= {one: first, other: first}
    return twins


def _finder(root: pathlib.Path, *directories: str) -> Callable[[str], pathlib.Path | None]:
    """Returns what finds an image's file, in these directories or deeper."""
    files = {
        path.stem: path
        for directory in directories
        for path in sorted((root / directory).rglob("*.jp*g"))
        if path.is_file()
    }
    return files.get
