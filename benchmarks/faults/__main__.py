"""Makes the table of docs/reliability.md: python -m benchmarks.faults --help."""

import argparse
import collections
import concurrent.futures
import itertools
import os
import pathlib
import queue
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tqdm import tqdm

from benchmarks import measure
from benchmarks.faults import clock, damage, disk, machine, signals
from benchmarks.faults.bench import Bench, Trial
from benchmarks.faults.stage import STAGES

# Trials of each fault on each command, in full.
KILLS = {"train": 104, "prepare": 40, "eval": 28, "study": 20, "retrain": 16}
TERMINATIONS = {"train": 16, "prepare": 6, "eval": 6, "study": 3}
FULL = {"train": 8, "prepare": 4, "eval": 2}
READ_ONLY = {"train": 4, "prepare": 2, "eval": 2}
DAMAGES = 102
QUICK = 12


class Task(NamedTuple):
    """Some trials of one fault on one command."""

    fault: str
    command: str
    count: int
    run: Callable[[Bench], list[Trial]]


def plan(share: int, seed: int) -> list[Task]:
    """Returns what is to be tried, of all counts one in `share`; commands by turns."""
    stages = {stage.name: stage for stage in STAGES}

    def tasks(
        fault: str, function: Callable[..., list[Trial]], counts: dict[str, int], *more: Any
    ) -> list[Task]:
        found = []
        for command, whole in counts.items():
            left = -(-whole // share)
            while left > 0:
                count = min(signals.CHAIN, left)
                words = (stages[command], f"{seed} {fault} {command} {left}", count, *more)
                found.append(
                    Task(fault, command, count, lambda bench, w=words: function(bench, *w))
                )
                left -= count
        return found

    of_training = {
        "clock jumps by days": (clock.jump, 3),
        "files of other times": (clock.redate, 3),
        "other number of readers": (machine.change_workers, 2),
        "other number of devices": (machine.change_devices, 2),
    }
    kinds = [
        tasks("SIGKILL", signals.strike, {name: count}, signal.SIGKILL)
        for name, count in KILLS.items()
    ]
    kinds += [
        tasks("SIGTERM", signals.strike, TERMINATIONS, signal.SIGTERM),
        tasks("full disk", disk.fill, FULL),
        tasks("read-only directory", disk.forbid, READ_ONLY),
    ]
    for fault, (function, count) in of_training.items():
        kinds.append(tasks(fault, function, {"train": count}))
    damages = DAMAGES // share
    kinds.append(
        [
            Task(
                damage.FAULT,
                "train",
                min(signals.CHAIN, damages - start),
                lambda bench, start=start: damage.damage(
                    bench, f"{seed} damage", start, min(start + signals.CHAIN, damages)
                ),
            )
            for start in range(0, damages, signals.CHAIN)
        ]
    )
    # Kills come first, should time be short.
    return [*_by_turns(kinds[: len(KILLS)]), *_by_turns(kinds[len(KILLS) :])]


def _by_turns(kinds: list[list[Task]]) -> list[Task]:
    return list(filter(None, itertools.chain.from_iterable(itertools.zip_longest(*kinds))))


def main(arguments: Sequence[str] | None = None) -> None:
    """Strikes, compares, and prints and keeps the table."""
    parser = argparse.ArgumentParser("python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"one trial of {QUICK}")
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    parser.add_argument(
        "--minutes", type=float, default=27.0, help="after which nothing more is begun"
    )
    parser.add_argument("--without", nargs="*", default=[], help='faults left out, as "SIGKILL"')
    parser.add_argument("--results", type=pathlib.Path, default=measure.RESULTS)
    options = parser.parse_args(arguments)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="stochconv_faults_") as directory:
        bench = Bench(pathlib.Path(directory))
        tasks = [
            task
            for task in plan(QUICK if options.quick else 1, options.seed)
            if task.fault not in options.without
        ]
        trials = _work(bench, tasks, begun + 60 * options.minutes)
    minutes = (time.monotonic() - begun) / 60
    setting = f"seed {options.seed}, {len(trials)} faults in {minutes:.0f} minutes"
    measure.report("faults", setting, rows(trials), options.results)


def _work(bench: Bench, tasks: list[Task], until: float) -> list[Trial]:
    """Makes the references and then the tasks, two at a time on a core each."""
    cores: queue.Queue[int] = queue.Queue()
    for core in sorted(os.sched_getaffinity(0)):
        cores.put(core)
    # Threads inherit to what they start the one core that they are bound to.
    pool = concurrent.futures.ThreadPoolExecutor(
        cores.qsize(), initializer=lambda: os.sched_setaffinity(0, {cores.get()})
    )
    trials: list[Trial] = []
    with pool, tqdm(total=sum(task.count for task in tasks), unit="fault") as bar:
        bar.set_description("references")
        pool.submit(bench.make_runs).result()
        list(pool.map(bench.make_reference, STAGES))

        def work(task: Task) -> None:
            if time.monotonic() > until:
                return
            bar.set_description(f"{task.fault}, {task.command}")
            try:
                found = task.run(bench)
            except PermissionError as error:
                tqdm.write(f"{task.fault} is not tried: {error}")
                found = []
            except Exception as error:
                # Whatever it is, it is told among what went wrong, and the others go on.
                found = [Trial(task.fault, task.command, "", repr(error))]
            trials.extend(found)
            for trial in found:
                tqdm.write(f"{trial.fault}, {trial.command}, {trial.struck}: {trial.wrong or 'ok'}")
            bar.update(task.count)

        list(pool.map(work, tasks))
    return trials


def rows(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Returns the table: a row for each fault and command."""
    kinds: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        kinds.setdefault((trial.fault, trial.command), []).append(trial)
    return [_row(*kind, kinds[kind]) for kind in sorted(kinds)]


def _row(fault: str, command: str, trials: list[Trial]) -> dict[str, Any]:
    struck = collections.Counter(trial.struck for trial in trials if trial.struck)
    row = {
        "fault": fault,
        "command": command,
        "tried": len(trials),
        "struck": ", ".join(f"{what} {count}" for what, count in struck.most_common()),
        "other results": sum(bool(trial.wrong) for trial in trials),
        "worst": "",
    }
    if fault == "SIGTERM":
        steps = max(trial.steps for trial in trials)
        row["worst"] = f"{max(trial.seconds for trial in trials):.1f} s"
        row["worst"] += f", {steps} steps" * (steps > 0)
    return row


if __name__ == "__main__":
    main()
