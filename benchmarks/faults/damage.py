"""Every file of the latest checkpoint, deleted, cut short or with one bit changed.

It runs in a process of its own, and trains in it, since there are more than a hundred files to go
through: python -m benchmarks.faults.damage RUN REFERENCE SEED START STOP
"""

import contextlib
import io
import json
import pathlib
import random
import shutil
import sys
import tempfile

from benchmarks.faults import content
from benchmarks.faults.bench import Bench, Trial
from benchmarks.faults.process import Command, environment
from benchmarks.faults.small import EPOCHS
from stochconv_jax.errors import InputError

FAULT = "damaged checkpoint"
DELETED, CUT, CHANGED = KINDS = ("deleted", "cut short", "one bit changed")


def damage(bench: Bench, seed: str, start: int, stop: int) -> list[Trial]:
    """Damages a file in a copy of a run and trains it on; of all cases those from start to stop."""
    words = [*map(str, (bench.places.shorter, bench.places.run, seed, start, stop))]
    command = Command(
        ["-m", "benchmarks.faults.damage", *words], environment(bench.directory / "compiled")
    )
    code = command.end()
    found = [line for line in command.output.splitlines() if line.startswith("trial ")]
    trials = [Trial(*json.loads(line.removeprefix("trial "))) for line in found]
    if code:
        trials.append(Trial(FAULT, "train", "", command.output[-2000:]))
    return trials


def main() -> None:
    """Damages, trains on and prints a line for every trial."""
    run, reference = map(pathlib.Path, sys.argv[1:3])
    seed, start, stop = sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
    expected = content.of_run(reference)
    latest = run / "checkpoints" / str(content.latest_step(run))
    files = sorted(path.relative_to(run) for path in latest.rglob("*") if path.is_file())
    cases = [(file, kind) for file in files for kind in KINDS]
    random.Random(seed).shuffle(cases)
    for file, kind in cases[start:stop]:
        with tempfile.TemporaryDirectory(dir=run.parent) as scratch:
            victim = pathlib.Path(shutil.copytree(run, pathlib.Path(scratch) / "run"))
            _damage(victim / file, kind, random.Random(f"{seed} {file}"))
            told, wrong = _train_on(victim)
            wrong = wrong or ", ".join(content.differences(expected, content.of_run(victim))[:5])
        said = "passed over" if "is passed over" in told else "read all the same"
        trial = Trial(FAULT, "train", f"{kind}, {said}", wrong and f"{file}: {wrong}")
        print("trial", json.dumps(trial), flush=True)


def _damage(path: pathlib.Path, kind: str, rng: random.Random) -> None:
    content_before = path.read_bytes()
    if kind == DELETED:
        path.unlink()
    elif kind == CUT:
        path.write_bytes(content_before[: rng.randrange(max(1, len(content_before)))])
    else:
        changed = bytearray(content_before or b"\0")
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(changed))


def _train_on(victim: pathlib.Path) -> tuple[str, str]:
    """Trains the last epoch; returns what was printed, and what went wrong."""
    from stochconv_jax.saved_config import read_config
    from stochconv_jax.training.loop import train

    config = read_config(victim).copy_and_resolve_references().unlock()
    config.train.epochs = EPOCHS
    told = io.StringIO()
    try:
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(io.StringIO()):
            train(config.lock(), str(victim))
    except InputError as error:
        return told.getvalue(), f"refused: {error}"
    except Exception as error:  # any of them is what the harness looks for
        return told.getvalue(), repr(error)[:500]
    return told.getvalue(), ""


if __name__ == "__main__":
    import benchmarks.faults.small  # noqa: F401 (its backbone)

    main()
