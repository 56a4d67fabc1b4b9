"""Disks that are full, and directories that are read-only."""

import contextlib
import os
import pathlib
import random
import re
import subprocess
import tempfile
from collections.abc import Iterator

from benchmarks.faults.bench import Bench, Trial
from benchmarks.faults.process import Command, found
from benchmarks.faults.stage import Stage, struck

# Of the small disk, bytes.
SIZE = 24 << 20
# Left when it is filled, so that one file or another is the first without room.
ROOM = (0, 0, 4096, 16384, 65536, 200_000)
BALLAST = "ballast"
# Root, but bound by permissions as everyone is.
BOUND = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


@contextlib.contextmanager
def small_disk() -> Iterator[pathlib.Path]:
    """Gives a disk of its own, in memory.

    Raises:
      PermissionError: mounting is for root.
    """
    place = pathlib.Path(tempfile.mkdtemp(prefix="stochconv_faults_disk_"))
    words = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(place)]
    try:
        if os.geteuid() or subprocess.run(words, capture_output=True).returncode:
            raise PermissionError("a small disk can only be mounted by root")
        try:
            yield place
        finally:
            subprocess.run(["umount", "--lazy", str(place)], check=True)
    finally:
        place.rmdir()


def fill(bench: Bench, stage: Stage, seed: str, count: int) -> list[Trial]:
    """Fills the disk of a command, makes room again, and lets the command go on."""
    rng, trials = random.Random(seed), []
    while len(trials) < count:
        with small_disk() as disk:
            victim = disk / "victim"
            victim.mkdir()
            stage.begin(bench.places, victim)
            command = bench.start(stage, victim)
            wrong = ""
            if command.reaches(stage.draw(rng, bench.references[stage.name].start), victim):
                at = struck(command.output, victim)
                _fill(disk, rng.choice(ROOM))
                wrong = refused(command, "No space left on device")
                (disk / BALLAST).unlink()
                trials.append(
                    Trial("full disk", stage.name, at, wrong or bench.run_through(stage, victim))
                )
    return trials


def _fill(disk: pathlib.Path, room: int) -> None:
    with (disk / BALLAST).open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
    with (disk / BALLAST).open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 12))
    os.truncate(disk / BALLAST, max(0, (disk / BALLAST).stat().st_size - room))


def refused(command: Command, reason: str) -> str:
    """Waits for the end; returns how that was not one sentence and exit code 2, "" where it was.

    A command that needed no more room, and ended well, is right as well.
    """
    code = command.end()
    sentences = re.findall(r"(?:^|[\r\n ])error: [^\r\n]*", command.output)
    if code == 0 and not sentences:
        return ""
    if code == 2 and len(sentences) == 1 and "Traceback" not in command.output:
        return "" if reason in sentences[0] else f"another reason: {sentences[0]}"
    return f"exit code {code}: {command.output[-3000:]}"


def forbid(bench: Bench, stage: Stage, seed: str, count: int) -> list[Trial]:
    """Takes the permission to write from a command's directories, and gives it back."""
    rng, trials = random.Random(seed), []
    prefix = BOUND if not os.geteuid() else ()
    while len(trials) < count:
        victim = bench.victim(stage)
        command = bench.start(stage, victim, prefix=prefix)
        if command.reaches(stage.draw(rng, bench.references[stage.name].start), victim):
            at = struck(command.output, victim)
            _permit(victim, 0o555)
            wrong = refused(command, "Permission denied")
            _permit(victim, 0o755)
            wrong = wrong or bench.run_through(stage, victim)
            trials.append(Trial("read-only directory", stage.name, at, wrong))
    return trials


def _permit(directory: pathlib.Path, mode: int) -> None:
    for path in [directory, *found(directory, "*")]:
        with contextlib.suppress(FileNotFoundError):
            if path.is_dir():
                path.chmod(mode)
