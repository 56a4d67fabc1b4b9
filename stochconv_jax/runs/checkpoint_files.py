"""The files of a checkpoint: their digests, and whether they are still what was written.

Orbax tells a save that was interrupted from one that was finished. It cannot tell when a disk, a
copy or a person changed a file since: most changes of an array's bytes are read without an error.
"""

import hashlib
import pathlib

# In the format of sha256sum, so that `sha256sum --check` within the checkpoint says the same.
DIGESTS = "files.sha256"


def write_digests(checkpoint: pathlib.Path) -> None:
    """Writes the SHA-256 of every file in the directories of a checkpoint into it."""
    files = sorted(path for path in checkpoint.glob("*/**/*") if path.is_file())
    lines = [f"{_digest(path)}  {path.relative_to(checkpoint).as_posix()}\n" for path in files]
    (checkpoint / DIGESTS).write_text("".join(lines), encoding="utf-8")


def find_damage(checkpoint: pathlib.Path, item: str = "") -> str:
    """Returns what became of the first file that is not as it was written, "" where all are.

    A checkpoint of an older version has no digests, and is taken to be whole.

    Args:
      checkpoint: its directory.
      item: a directory in it, to look at that one alone.
    """
    path = checkpoint / DIGESTS
    if not path.is_file():
        return ""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        expected = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    except ValueError:
        expected = {}
    if not expected:
        return f"{DIGESTS} is damaged"
    for name, digest in expected.items():
        if item and not name.startswith(f"{item}/"):
            continue
        file = checkpoint / name
        if not file.is_file():
            return f"{name} is missing"
        if _digest(file) != digest:
            return f"{name} has changed since it was written"
    return ""


def set_aside_damaged(checkpoints: pathlib.Path, aside: pathlib.Path) -> list[str]:
    """Moves the damaged ones among a run's checkpoints to another directory.

    Args:
      checkpoints: directory of the run's checkpoints, each named by its step.
      aside: where the damaged ones go; made where one is found.

    Returns:
      A sentence for each, the latest first.
    """
    told = []
    steps = (path for path in checkpoints.glob("*") if path.name.isdecimal())
    for checkpoint in sorted(steps, key=lambda path: int(path.name), reverse=True):
        damage = find_damage(checkpoint)
        if damage:
            aside.mkdir(exist_ok=True)
            place = _free_name(aside / checkpoint.name)
            checkpoint.rename(place)
            told.append(
                f"the checkpoint of step {checkpoint.name} is passed over, since {damage}; it is "
                f"now {place}"
            )
    return told


def _free_name(path: pathlib.Path) -> pathlib.Path:
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}_{number}")
    return free


def _digest(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
