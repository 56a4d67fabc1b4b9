"""Flags as a folder of images and a table, which preparation reads and people can edit."""

import collections
import pathlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from stochconv_jax.atomic_write import new_directory, write_table
from stochconv_jax.data.feedback_images import GROUP_COLUMN, IMAGE_COLUMN, LABEL_COLUMN, TABLE
from stochconv_jax.data.image_file import EXTENSIONS, open_image
from stochconv_jax.errors import InputError
from stochconv_jax.feedback.store import Flag

IMAGES = "images"
COLUMNS = (
    IMAGE_COLUMN,
    LABEL_COLUMN,
    GROUP_COLUMN,
    "decision",
    "probability",
    "run",
    "time",
    "comment",
)
_DIGITS, _LETTERS = 12, 60
# Patients' images: as the file of flags, readable for their owner alone.
_PRIVATE = 0o600


class Export(NamedTuple):
    """What became of flags.

    Attributes:
      exported: one flag for each picture that is exported, the latest.
      none_of_these: of the pictures that show none of the classes, likewise.
      left_out: a sentence for each picture that a person has to look at.
    """

    exported: list[Flag]
    none_of_these: list[Flag]
    left_out: list[str]


def select_flags(flags: Sequence[Flag]) -> Export:
    """Decides on every picture that was flagged; flags of the same bytes are of one picture.

    Those that agree are one, the latest; those that disagree are left out, for a person to decide.
    """
    pictures: dict[str, list[Flag]] = collections.defaultdict(list)
    for flag in flags:
        pictures[flag.sha256].append(flag)
    found = Export([], [], [])
    for own in pictures.values():
        latest = own[-1]
        said = list(dict.fromkeys(flag.correct_class for flag in own))
        problem = _problem(latest)
        if problem:
            found.left_out.append(f"{latest.name}: {problem}")
        elif len(said) > 1:
            classes = " and ".join(name or "none of these" for name in said)
            found.left_out.append(f"{latest.name}: its flags disagree, {classes}")
        elif said == [""]:
            found.none_of_these.append(latest)
        else:
            found.exported.append(latest)
    return found


def write_export(export: Export, directory: pathlib.Path) -> None:
    """Writes images/ and labels.csv, all or nothing, readable for their owner alone.

    Raises:
      InputError: there is nothing to write, or the directory is there already.
    """
    if not export.exported:
        raise InputError("no flag names the class of a picture, so that there is nothing to export")
    if directory.exists():
        raise InputError(f"--output {directory} is there already; name another directory")
    if not directory.absolute().parent.is_dir():
        raise InputError(
            f"--output {directory} lies in no directory; make {directory.parent} first"
        )
    with new_directory(directory, mode=0o700) as part:
        (part / IMAGES).mkdir(mode=0o700)
        rows = []
        for flag in export.exported:
            name = f"{IMAGES}/{file_name(flag)}"
            (part / name).write_bytes(flag.image)
            (part / name).chmod(_PRIVATE)
            probability = f"{flag.probabilities[flag.decision]:.4f}"
            told = (flag.decision, probability, flag.run, flag.time, flag.comment)
            rows.append([name, flag.correct_class, "", *told])
        write_table(part / TABLE, COLUMNS, rows)
        (part / TABLE).chmod(_PRIVATE)


def file_name(flag: Flag) -> str:
    """Returns a name that no other picture has, whatever the uploaded file was called.

    It begins with the content's SHA-256, holds letters and digits of ASCII, dots, dashes and
    underscores alone, and ends as files of its format do.
    """
    stem = pathlib.PurePosixPath(flag.name.replace("\\", "/")).stem
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", stem)[:_LETTERS]
    suffix = EXTENSIONS[open_image(flag.image, least=1).format][0]
    return f"{flag.sha256[:_DIGITS]}_{safe}{suffix}"


def _problem(flag: Flag) -> str:
    try:
        open_image(flag.image, least=1)
    except InputError as error:
        return str(error)
    return ""
