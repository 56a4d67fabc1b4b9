"""Flags as a folder of images and a table, which preparation reads and people can edit."""

import collections
import pathlib
import re
from collections.abc import Iterable
from typing import NamedTuple

from stochconv_jax.atomic_write import new_directory, write_table
from stochconv_jax.data.feedback_images import GROUP_COLUMN, IMAGE_COLUMN, LABEL_COLUMN, TABLE
from stochconv_jax.data.image_file import EXTENSIONS, open_image
from stochconv_jax.errors import InputError
from stochconv_jax.feedback.plain_text import plain_text
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
# How formulas begin, in full width too.
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
# Patients' images: as the file of flags, readable for their owner alone.
_PRIVATE = 0o600


class Export(NamedTuple):
    """What becomes of flags.

    Attributes:
      flags: how many there are.
      exported: the file's name for each picture that is exported, by the id of its latest flag.
      none_of_these: names of the pictures that show none of the classes.
      left_out: a sentence for each picture that a person has to look at.
    """

    flags: int
    exported: dict[int, str]
    none_of_these: list[str]
    left_out: list[str]


def select_flags(flags: Iterable[Flag]) -> Export:
    """Decides on every picture that was flagged; flags of the same bytes are of one picture.

    Those that agree are one, the latest; those that disagree are left out, for a person to decide.
    """
    pictures: dict[str, list[Flag]] = collections.defaultdict(list)
    looks: dict[str, _Look] = {}
    for flag in flags:
        if flag.sha256 not in looks:
            looks[flag.sha256] = _look(flag.image)
        pictures[flag.sha256].append(flag._replace(image=b""))
    found = Export(sum(map(len, pictures.values())), {}, [], [])
    for digest, own in pictures.items():
        latest, look = own[-1], looks[digest]
        name = plain_text(latest.name)
        said = list(dict.fromkeys(flag.correct_class for flag in own))
        if look.problem:
            found.left_out.append(f"{name}: {look.problem}")
        elif len(said) > 1:
            classes = " and ".join(each or "none of these" for each in said)
            found.left_out.append(f"{name}: its flags disagree, {classes}")
        elif said == [""]:
            found.none_of_these.append(name)
        else:
            found.exported[latest.id] = _file_name(latest, look.suffix)
    return found


def write_export(export: Export, flags: Iterable[Flag], directory: pathlib.Path) -> None:
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
        for flag in flags:
            if flag.id not in export.exported:
                continue
            name = f"{IMAGES}/{export.exported[flag.id]}"
            (part / name).write_bytes(flag.image)
            (part / name).chmod(_PRIVATE)
            probability = f"{flag.probabilities[flag.decision]:.4f}"
            run, comment = _cell(flag.run), _cell(flag.comment)
            told = (_cell(flag.decision), probability, run, flag.time, comment)
            # The class stays what it is, since it is read again.
            rows.append([name, flag.correct_class, "", *told])
        write_table(part / TABLE, COLUMNS, rows)
        (part / TABLE).chmod(_PRIVATE)


class _Look(NamedTuple):
    suffix: str = ""
    problem: str = ""


def _look(image: bytes) -> _Look:
    """Returns how files of an image's format end, or why it cannot be read."""
    try:
        return _Look(suffix=EXTENSIONS[open_image(image, least=1).format][0])
    except InputError as error:
        return _Look(problem=str(error))


def _file_name(flag: Flag, suffix: str) -> str:
    """Returns a name that no other picture has, whatever the uploaded file was called.

    It begins with the content's SHA-256, and holds letters and digits of ASCII, dots, dashes and
    underscores alone.
    """
    stem = pathlib.PurePosixPath(flag.name.replace("\\", "/")).stem
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", stem)[:_LETTERS]
    return f"{flag.sha256[:_DIGITS]}_{safe}{suffix}"


def _cell(text: str) -> str:
    """Returns a text that no spreadsheet takes for a formula, which could send the others away.

    Source: OWASP, "CSV Injection".
    """
    text = plain_text(text, "\n")
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
