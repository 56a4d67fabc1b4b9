"""EyePACS, the retinas of Kaggle's Diabetic Retinopathy Detection (2015), as downloaded.

`trainLabels.csv` (image, level) lists what trains; `retinopathy_solution.csv` (image, level,
Usage), which was published after the competition, what tests. The images, such as 10_left.jpeg,
lie anywhere below.
"""

import pathlib
import re

from stochconv_jax.data.preparation.photograph import Photograph
from stochconv_jax.data.preparation.table import read_rows, require_columns
from stochconv_jax.errors import InputError

TRAIN_TABLE = "trainLabels.csv"
TEST_TABLE = "retinopathy_solution.csv"
USAGES = ("Public", "Private")
_EYE = re.compile(r"(\d+)_(left|right)")


def read_eyepacs(root: pathlib.Path) -> list[Photograph]:
    """Reads the tables under a directory; both eyes of a patient are of one group.

    Returns:
      A photograph for each row: those of the training table first, without a split, of the source
      eyepacs_train; then, where the other table is there, those of the split test, of the sources
      eyepacs_public and eyepacs_private. `site` is the eye.

    Raises:
      InputError: the directory or its training table is not there, or a row is not usable.
    """
    if not root.is_dir():
        raise InputError(f"--source {root} is not a directory; name the one of the tables")
    files = {path.stem: path for path in sorted(root.rglob("*.jp*g"))}
    tables = [root / TRAIN_TABLE]
    tables += [root / TEST_TABLE] if (root / TEST_TABLE).is_file() else []
    photographs = []
    for table in tables:
        tests = table.name == TEST_TABLE
        rows = read_rows(table)
        columns = ("image", "level", *(["Usage"] if tests else []))
        require_columns(table, rows[0], dict.fromkeys(columns, "its columns"))
        photographs += [
            _photograph(row, f"{table}, row {number}", tests, files)
            for number, row in enumerate(rows, start=2)
        ]
    return photographs


def _photograph(
    row: dict[str, str], where: str, tests: bool, files: dict[str, pathlib.Path]
) -> Photograph:
    name = row["image"]
    eye = _EYE.fullmatch(name)
    if eye is None:
        raise InputError(
            f"{where} names {name!r}, which does not tell the patient; write NUMBER_left or "
            "NUMBER_right"
        )
    usage = row["Usage"] if tests else "train"
    if tests and usage not in USAGES:
        raise InputError(f"{where} has the Usage {usage!r}; write {' or '.join(USAGES)}")
    return Photograph(
        id=name,
        source=f"eyepacs_{usage.lower()}",
        path=files.get(name),
        target=row["level"],
        patient_id=eye[1],
        site=eye[2],
        split="test" if tests else "",
    )
