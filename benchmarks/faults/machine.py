"""Another number of reader processes, or of devices, from one start to the next."""

import pathlib
import random
import signal

import numpy as np

from benchmarks.faults.bench import Bench, Trial
from benchmarks.faults.process import FLAGS
from benchmarks.faults.stage import Stage, struck
from stochconv_jax.training.history import read_history

# Of losses, from which sums in another order may lead away in so many steps.
TOLERANCE = 1e-2


def change_workers(bench: Bench, stage: Stage, seed: str, count: int) -> list[Trial]:
    """Reads with threads, with one process or with two, by turns; all to the same bits."""
    rng, trials = random.Random(seed), []
    for number in range(count):
        victim = bench.victim(stage)
        command = bench.start(stage, victim, f"--config.data.workers={1 + number % 2}")
        if command.reaches(stage.draw(rng, bench.references[stage.name].start), victim):
            command.strike(signal.SIGKILL)
        at = struck(command.output, victim)
        trials.append(
            Trial("other number of readers", stage.name, at, bench.run_through(stage, victim))
        )
    return trials


def change_devices(bench: Bench, stage: Stage, seed: str, count: int) -> list[Trial]:
    """Begins on two or four devices and goes on with one: equal to rounding."""
    rng, trials = random.Random(seed), []
    for number in range(count):
        victim = bench.victim(stage)
        devices = (2, 4)[number % 2]
        flags = f"{FLAGS} --xla_force_host_platform_device_count={devices}"
        command = bench.start(stage, victim, XLA_FLAGS=flags)
        if command.reaches(stage.draw(rng, bench.references[stage.name].start), victim):
            command.strike(signal.SIGKILL)
        at = struck(command.output, victim)
        last = bench.start(stage, victim)
        wrong = f"failed: {last.output[-2000:]}" if last.end() else _far(bench, victim)
        trials.append(Trial("other number of devices", stage.name, at, wrong))
    return trials


def _far(bench: Bench, victim: pathlib.Path) -> str:
    """Returns what differs from the run that nothing befell by more than rounding."""
    ours, others = (read_history(run) for run in (victim / "run", bench.places.run))
    far = [
        name
        for name in ("train_loss", "val_loss")
        if not np.allclose([r[name] for r in ours], [r[name] for r in others], rtol=TOLERANCE)
    ]
    return f"differs beyond rounding in {', '.join(far)}" if far else ""
