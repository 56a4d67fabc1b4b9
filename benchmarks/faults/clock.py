"""Clocks that jump while a training runs, and files of other times."""

import os
import pathlib
import random
import signal
import time

from benchmarks.faults.bench import Bench, Trial
from benchmarks.faults.stage import Stage, struck

LIBRARY = "faketime/libfaketimeMT.so.1"
DAY = 86400


def library() -> pathlib.Path | None:
    """Returns the library that fakes the time (Debian's package faketime); None without it."""
    return next(pathlib.Path("/usr/lib").glob(f"*/{LIBRARY}"), None)


def jump(bench: Bench, stage: Stage, seed: str, count: int) -> list[Trial]:
    """Lets the clock jump by days, forwards or backwards, and kills some; then all go through."""
    rng, trials, fake = random.Random(seed), [], library()
    if fake is None:
        raise PermissionError("the package faketime is not installed")
    while len(trials) < count:
        victim = bench.victim(stage)
        offset = victim / "offset"
        offset.write_text("+0d")
        faked = {
            "LD_PRELOAD": str(fake),
            "FAKETIME_TIMESTAMP_FILE": str(offset),
            "FAKETIME_CACHE_DURATION": "1",  # seconds until it reads the file again
            # The kernel's monotonic clock does not jump when the time is set.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        command = bench.start(stage, victim, **faked)
        if not command.reaches(stage.draw(rng, bench.references[stage.name].start), victim):
            continue
        at = struck(command.output, victim)
        offset.write_text(f"{rng.choice((-400, -3, 3, 400)):+d}d")
        if rng.random() < 0.5:
            time.sleep(rng.uniform(0, 2))
            command.strike(signal.SIGKILL)
            wrong = bench.run_through(stage, victim)
        else:
            wrong = bench.ended(stage, victim, command)
        trials.append(Trial("clock jumps by days", stage.name, at, wrong))
    return trials


def redate(bench: Bench, stage: Stage, seed: str, count: int) -> list[Trial]:
    """Gives all files of a killed training times in the past or the future."""
    rng, trials = random.Random(seed), []
    while len(trials) < count:
        victim = bench.victim(stage)
        command = bench.start(stage, victim)
        if not command.reaches(stage.draw(rng, bench.references[stage.name].start), victim):
            continue
        command.strike(signal.SIGKILL)
        at = struck(command.output, victim)
        for path in victim.rglob("*"):
            moved = time.time() + rng.uniform(-3000, 3000) * DAY
            os.utime(path, (moved, moved))
        wrong = bench.run_through(stage, victim)
        trials.append(Trial("files of other times", stage.name, at, wrong))
    return trials
