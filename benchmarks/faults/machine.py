"""Another number of reader processes, or of devices, from one start to the next."""

import pathlib
import random
import signal

import numpy as np

from benchmarks.faults.bench import Bench, Trial
from benchmarks.faults.content import arrays_of, latest_step
from benchmarks.faults.process import FLAGS
from benchmarks.faults.stage import Stage, struck

# Between networks of float32 that were trained on other numbers of devices.
TOLERANCE = 1e-3


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
    step = str(latest_step(victim / "run"))
    ours, others = (
        arrays_of(run / "checkpoints" / step / "model")
        for run in (victim / "run", bench.places.run)
    )
    far = [
        name
        for name, array in ours.items()
        if not np.allclose(array, others[name], rtol=TOLERANCE, atol=TOLERANCE)
    ]
    return f"differs beyond rounding in {', '.join(far[:5])}" if far else ""
