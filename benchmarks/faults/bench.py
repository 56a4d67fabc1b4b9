"""What all faults need: data, references, and the means to start a command."""

import pathlib
import tempfile
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks.faults import content
from benchmarks.faults.process import Command, environment
from benchmarks.faults.small import EPOCHS
from benchmarks.faults.stage import SMALL, Places, Stage
from stochconv_jax.atomic_write import write_table
from stochconv_jax.data.preparation.lesion_drawing import draw_lesion

PHOTOGRAPHS, CORRECTED = 60, 8


class Trial(NamedTuple):
    """One fault and what became of it.

    Attributes:
      fault: its name.
      command: that it struck.
      struck: what the command was at.
      wrong: what was not as it should be; "" where nothing.
      seconds: from SIGTERM to the end.
      steps: made between SIGTERM and the end.
    """

    fault: str
    command: str
    struck: str
    wrong: str = ""
    seconds: float = 0.0
    steps: int = 0


class Reference(NamedTuple):
    """A command that nothing befell: what it left, and seconds until it printed something."""

    content: content.Content
    start: float


class Bench:
    """A directory of victims; it is removed in the end."""

    def __init__(self, directory: pathlib.Path):
        self.directory = directory
        self.places = Places(*(directory / name for name in Places._fields))
        self.references: dict[str, Reference] = {}
        _draw(self.places.photographs, range(PHOTOGRAPHS))
        _draw(self.places.feedback, range(1000, 1000 + CORRECTED))

    def start(
        self,
        stage: Stage,
        victim: pathlib.Path,
        *words: str,
        prefix: Sequence[str] = (),
        **more: str,
    ) -> Command:
        """Starts a stage's command, with further words, behind a prefix, in such an environment."""
        return self._start([*stage.words(self.places, victim), *words], prefix, **more)

    def _start(self, words: Sequence[str], prefix: Sequence[str] = (), **more: str) -> Command:
        return Command(words, environment(self.directory / "compiled", **more), prefix)

    def victim(self, stage: Stage) -> pathlib.Path:
        """Returns a new directory with what a stage's command needs."""
        directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{stage.name}_", dir=self.directory))
        stage.begin(self.places, directory)
        return directory

    def make_runs(self) -> None:
        """Trains what other commands are struck on."""
        places = self.places
        for place, what, epochs in (
            (places.run, "run", EPOCHS),
            (places.shorter, "run", EPOCHS - 1),
            (places.old, "shipped", 2),
        ):
            words = ["train.py", f"--config={SMALL}:{what}", f"--workdir={place}"]
            words.append(f"--config.data.prepared_directory={places.prepared}")
            command = self._start([*words, f"--config.train.epochs={epochs}"])
            assert command.end() == 0, command.output

    def make_reference(self, stage: Stage) -> None:
        """Runs a command that nothing befalls."""
        victim = self.victim(stage)
        command = self.start(stage, victim)
        assert command.end() == 0, command.output
        start = command.times[0][0]
        self.references[stage.name] = Reference(stage.content(victim), start)

    def run_through(self, stage: Stage, victim: pathlib.Path) -> str:
        """Gives the command once more, unhindered; returns what is wrong then, "" where nothing."""
        return self.ended(stage, victim, self.start(stage, victim))

    def ended(self, stage: Stage, victim: pathlib.Path, command: Command) -> str:
        """Waits for an end that nothing brought about; returns what is wrong, "" where nothing."""
        code = command.end()
        # A retraining that was killed after its verdict is not to be had again.
        if code and "is there already" not in command.output:
            return f"exit code {code}: {command.output[-2000:]}"
        return self.compare(stage, victim)

    def compare(self, stage: Stage, victim: pathlib.Path) -> str:
        """Returns what differs from the reference, "" where nothing."""
        found = content.differences(self.references[stage.name].content, stage.content(victim))
        return f"differs in {', '.join(found[:5])}" if found else ""


def _draw(directory: pathlib.Path, numbers: range) -> None:
    (directory / "images").mkdir(parents=True)
    rows = []
    for number in numbers:
        lesion = draw_lesion(np.random.default_rng((7, number)), 128, number % 2 == 1)
        name = f"images/{number}.png"
        Image.fromarray(lesion).save(directory / name)
        rows.append([name, ("benign", "malignant")[number % 2]])
    write_table(directory / "labels.csv", ["image", "label"], rows)
