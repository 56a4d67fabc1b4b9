"""SIGKILL, as a power cut or a lack of memory strikes, and SIGTERM, a notice of schedulers."""

import pathlib
import random
import re
import signal

from benchmarks.faults.bench import Bench, Trial
from benchmarks.faults.content import latest_step
from benchmarks.faults.process import Command
from benchmarks.faults.small import STEPS
from benchmarks.faults.stage import Stage, struck

# Faults that one victim suffers in sequence at most.
CHAIN = 8
CONTINUING = re.compile(r"continuing after epoch (\d+)(?:, step (\d+))?")
SAVED = re.compile(r"terminated after step (\d+) of \d+ of epoch (\d+), which is saved")
# A frame of a training's bar: epoch, images, of how many.
FRAME = re.compile(r"epoch (\d+)/\d+: .*?(\d+)/(\d+) \[")


def strike(bench: Bench, stage: Stage, seed: str, count: int, number: int) -> list[Trial]:
    """Strikes a command so many times by a signal, at instants drawn from the seed.

    A victim is struck, started again and struck at another instant, and in the end goes through and
    is compared with the reference. One that ends before it is struck is compared and replaced.
    """
    rng, trials = random.Random(seed), []
    while len(trials) < count:
        victim, suffered, over = bench.victim(stage), [], False
        while not over and len(suffered) < min(CHAIN, count - len(trials)):
            before = latest_step(victim / stage.run) if stage.run else 0
            command = bench.start(stage, victim)
            moment = stage.draw(rng, bench.references[stage.name].start)
            over = not command.reaches(moment, victim)
            if over:
                break
            suffered.append(_strike(bench, command, stage, victim, number, rng.random() < 0.5))
            wrong = wrong_start(stage, command, before)
            suffered[-1] = suffered[-1]._replace(wrong=suffered[-1].wrong or wrong)
        wrong = bench.ended(stage, victim, command) if over else bench.run_through(stage, victim)
        trials += [each._replace(wrong=each.wrong or wrong) for each in suffered]
    return trials


def wrong_start(stage: Stage, command: Command, before: int) -> str:
    """Returns how a start did not go on from the latest checkpoint; "" where it did."""
    found = CONTINUING.search(command.output)
    if not stage.run or (not found and "epoch" not in command.output):
        return ""
    steps = int(found[1]) * STEPS + int(found[2] or 0) if found else 0
    return "" if steps == before else f"went on from step {steps}, not from {before}"


def _strike(
    bench: Bench, command: Command, stage: Stage, victim: pathlib.Path, number: int, group: bool
) -> Trial:
    told = len(command.output)
    # A lack of memory kills one process, a power cut all of them.
    seconds = command.strike(number, group or number == signal.SIGTERM)
    name, code = signal.Signals(number).name, command.end()
    if number == signal.SIGKILL:
        wrong = "a process that it started outlived it" if command.left_orphans else ""
        return Trial(name, stage.name, struck(command.output, victim), wrong)
    before, after = command.output[:told], command.output[told:]
    wrong = "" if code == 128 + number else f"exit code {code}: {after}"
    # Whoever is still importing has no handler yet, and whoever is done has none any more.
    if before and "terminated" not in after and not _is_done(bench, stage, victim):
        wrong = f"no message: {after}"
    return Trial(name, stage.name, struck(before, victim), wrong, seconds, _steps(before, after))


def _is_done(bench: Bench, stage: Stage, victim: pathlib.Path) -> bool:
    try:
        return not bench.compare(stage, victim)
    except (OSError, ValueError):
        return False


def _steps(before: str, after: str) -> int:
    """Steps made after a signal: from the last one that was told before it to the saved one."""
    saved, frames = SAVED.search(after), FRAME.findall(before)
    if not saved or not frames:
        return 0
    epoch, images, whole = (int(number) for number in frames[-1])
    told = (epoch - 1) * STEPS + images * STEPS // whole
    return (int(saved[2]) - 1) * STEPS + int(saved[1]) - told
