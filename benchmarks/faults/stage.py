"""The commands that are struck: how each begins, when to strike it, and what it leaves."""

import dataclasses
import pathlib
import random
import re
import shutil
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.faults import content
from benchmarks.faults.process import Moment, found

SMALL = "benchmarks/faults/small.py"
SAVING = "*.orbax-checkpoint-tmp*"


class Places(NamedTuple):
    """What the victims of a bench share.

    Attributes:
      prepared: directory of prepared images.
      photographs: directory of images and labels.csv.
      run: a trained run.
      shorter: the same of one epoch less.
      old: a trained run that is trained once more.
      feedback: corrected images.
    """

    prepared: pathlib.Path
    photographs: pathlib.Path
    run: pathlib.Path
    shorter: pathlib.Path
    old: pathlib.Path
    feedback: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Stage:
    """A command and its victim's directory.

    Attributes:
      name: of the command.
      words: from the shared places and the victim's directory to the command.
      content: of the victim's directory, in the end.
      moments: (share, moment) that kills are drawn from; a delay is the longest.
      begin: makes what the command needs in the victim's directory.
      run: the directory in the victim's that holds checkpoints; "" for none.
    """

    name: str
    words: Callable[[Places, pathlib.Path], list[str]]
    content: Callable[[pathlib.Path], content.Content]
    moments: tuple[tuple[float, Moment], ...]
    begin: Callable[[Places, pathlib.Path], None] = lambda places, victim: None
    run: str = ""

    def draw(self, rng: random.Random, start: float) -> Moment:
        """Draws a moment; `start` is how long the command takes until it prints."""
        (moment,) = rng.choices([each for _, each in self.moments], [w for w, _ in self.moments])
        longest = moment.delay if moment.output or moment.files else start
        count = rng.randint(1, moment.count)
        return moment._replace(count=count, delay=rng.uniform(0, longest))


def struck(output: str, victim: pathlib.Path) -> str:
    """Returns what a command was at when it was killed, as its files and its output tell."""
    if found(victim, SAVING):
        return "writing a checkpoint"
    if found(victim, "*.part") or found(victim, "*incomplete*"):
        return "writing files"
    frames = [frame.strip() for frame in re.split(r"[\r\n]", output) if frame.strip()]
    last = frames[-1] if frames else ""
    for pattern, what in (
        (r"compiles", "compiling"),
        (r"epoch .*100%", "validation"),
        (r"epoch .*\|", "steps"),
        (r"epoch \d+/\d+  loss", "between epochs"),
        (r"Inspecting", "inspecting images"),
        (r"Preparing", "framing images"),
        (r"evaluating|resampling", "evaluation"),
    ):
        if re.search(pattern, last):
            return what
    return "start-up" if not re.search(r"\|", output) else "elsewhere"


def _config(places: Places, workdir: pathlib.Path, what: str = "", base: str = "") -> list[str]:
    return [
        f"--config={SMALL}{what and ':'}{what}",
        f"--workdir={workdir}",
        f"--config.{base}data.prepared_directory={places.prepared}",
    ]


START = Moment()
# One step and its bar, the images of 6 steps, saved every 0.1 s or so.
STEP = Moment(output=r"image/s, loss|s/image, loss", count=6, delay=0.05)
COMPILING = Moment(output="the first step compiles", delay=3.0)
CHECKPOINT = Moment(files=SAVING, count=3, delay=0.05)
VALIDATION = Moment(output=r"epoch \d+/\d+: 100%", delay=0.3)
EPOCH = Moment(output=r"epoch \d+/\d+  loss", count=2, delay=0.1)
TRAINING = (
    (0.15, START),
    (0.1, COMPILING),
    (0.2, STEP),
    (0.35, CHECKPOINT),
    (0.1, VALIDATION),
    (0.1, EPOCH),
)

TRAIN = Stage(
    "train",
    lambda places, victim: ["train.py", *_config(places, victim / "run")],
    lambda victim: content.of_run(victim / "run"),
    TRAINING,
    run="run",
)


def _copy_run(places: Places, victim: pathlib.Path) -> None:
    shutil.copytree(places.run, victim / "run")


EVALUATE = Stage(
    "eval",
    lambda places, victim: ["eval.py", *_config(places, victim / "run")],
    lambda victim: content.of_evaluation(victim / "run" / "eval"),
    (
        (0.2, START),
        (0.3, Moment(output="evaluating", delay=2.0)),
        (0.3, Moment(output="resampling", count=4, delay=0.2)),
        (0.2, Moment(files="*.part", count=5)),
    ),
    _copy_run,
)

PREPARE = Stage(
    "prepare",
    lambda places, victim: [
        *("-m", "stochconv_jax.prepare", "folder", f"--source={places.photographs}"),
        "--label-column=label",
        *(f"--output={victim / 'prepared'}", "--size=64", "--test-fraction=0.2", "--processes=2"),
    ],
    lambda victim: content.of_prepared(victim / "prepared"),
    (
        (0.2, START),
        (0.25, Moment(output="Inspecting", count=60, delay=0.1)),
        (0.3, Moment(output="Preparing", count=60, delay=0.1)),
        (0.15, Moment(files="*incomplete*", delay=0.3)),
        (0.1, Moment(files="manifest.csv*", delay=0.05)),
    ),
)

STUDY = Stage(
    "study",
    lambda places, victim: [
        *("-m", "stochconv_jax.study"),
        *_config(places, victim / "study", "study", "base."),
    ],
    lambda victim: content.of_study(victim / "study"),
    (
        *TRAINING,
        (0.1, Moment(output="evaluating", count=3, delay=0.5)),
        (0.1, Moment(output=r"run 2 of 2", delay=1.0)),
    ),
)

RETRAIN = Stage(
    "retrain",
    lambda places, victim: [
        *("-m", "stochconv_jax.retrain", str(places.old), f"--feedback={places.feedback}"),
        *(f"--output={victim / 'new'}", "--margin=0.9"),
    ],
    content.of_retraining,
    (
        *TRAINING,
        (0.1, Moment(output="evaluating", count=3, delay=0.5)),
        (0.1, Moment(output="epoch 2/2  loss", delay=2.0)),
    ),
)

STAGES = (TRAIN, EVALUATE, PREPARE, STUDY, RETRAIN)
