"""The steps of an epoch: what each tells is read one step late, and checkpoints are kept within.

It is read late so that the device works while the next batch is read. What decides whether to save,
a clock and a scheduler's notice, may differ from process to process: they agree on it in the same
way, one step late, and so save at the same step.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from tqdm import tqdm

from stochconv_jax.data.pipeline.batches import Batch
from stochconv_jax.errors import InputError
from stochconv_jax.keys import Purpose
from stochconv_jax.runs.checkpoints import Checkpoints, Progress
from stochconv_jax.runs.devices import divide
from stochconv_jax.runs.run import Run
from stochconv_jax.termination import Notice, Terminated, held_back
from stochconv_jax.training.epoch_record import EpochRecord
from stochconv_jax.training.state import TrainState
from stochconv_jax.training.step import StepMetrics

# What stands for the validation loss before the first: finite, for the first epoch would count as
# one without improvement if nothing could be below it.
NO_LOSS = 1e30

# What a process wishes for; the largest wish of all processes is done.
SAVE, SAVE_AND_LEAVE = 1, 2


class _Late(NamedTuple):
    """What a step told, and what was wished for beside it; neither has been waited for."""

    step: int
    metrics: StepMetrics
    wish: Any


@dataclasses.dataclass
class EpochSteps:
    """Makes the steps of one epoch after the other.

    Attributes:
      run: that trains.
      mesh: over which batches are divided.
      names: of the data set's images, by index.
      train_step: compiled at the first step.
      steps: of an epoch.
      checkpoints: where it saves within an epoch.
      agree: from a process's wish to the largest of all processes.
      saved: steps made when the run was last saved; -1 where it was not.
      compiled: `train_step`, once it is.
      compiling: seconds that the latest epoch spent on it.
    """

    run: Run
    mesh: Mesh
    names: Sequence[str]
    train_step: Any
    steps: int
    checkpoints: Checkpoints
    agree: Callable[[int], Any]
    saved: int = -1
    compiled: jax.stages.Compiled | None = None
    compiling: float = 0.0

    def train(
        self, state: TrainState, progress: Progress, record: EpochRecord, batches: Iterator[Batch]
    ) -> TrainState:
        """Makes the steps that an epoch has left, and adds what they tell to its record.

        Raises:
          InputError: the loss or a gradient is no longer finite.
          Terminated: SIGTERM came, and the steps are saved.
        """
        key = self.run.key(Purpose.TRAINING)
        loss = np.float32(progress.history[-1]["val_loss"] if progress.history else NO_LOSS)
        end = progress.step + self.steps - record.steps
        late: _Late | None = None
        saved_at, self.compiling = time.monotonic(), 0.0
        with self._bar(progress, record) as bar, held_back() as notice:
            for step in range(progress.step, end):
                batch = divide(next(batches), self.mesh)
                arguments = (state, batch, jax.random.fold_in(key, step), loss)
                state, metrics = self._compiled(arguments)(*arguments)
                wish = self.agree(self._wish(notice, saved_at))
                earlier, late = late, _Late(step, metrics, wish)
                if earlier:
                    self._read(earlier, progress, record, bar)
                if earlier and int(earlier.wish) and step + 1 < end:
                    self._read(late, progress, record, bar)  # what is not finite is not saved
                    self._save(state, progress, record)
                    if int(earlier.wish) == SAVE_AND_LEAVE:
                        raise Terminated(self._describe_stop(progress, record))
                    late, saved_at = None, time.monotonic()
            if late:
                self._read(late, progress, record, bar)
            if int(self.agree(self._wish(notice, saved_at))) == SAVE_AND_LEAVE:
                self._save(state, progress, record)
                raise Terminated(self._describe_stop(progress, record))
        return state

    def _wish(self, notice: Notice, saved_at: float) -> int:
        if notice.came:
            return SAVE_AND_LEAVE
        minutes = self.run.config.train.checkpoint_minutes
        return SAVE if minutes and time.monotonic() - saved_at >= 60 * minutes else 0

    def _bar(self, progress: Progress, record: EpochRecord) -> tqdm:
        config = self.run.config.train
        bar = tqdm(
            total=self.steps * config.batch_size,
            initial=record.steps * config.batch_size,
            desc=f"epoch {len(progress.history) + 1}/{config.epochs}",
            unit="image",
            leave=False,
        )
        if self.compiled is None:
            bar.set_postfix_str("the first step compiles, which takes a while")
        return bar

    def _compiled(self, arguments: tuple[Any, ...]) -> jax.stages.Compiled:
        if self.compiled is None:
            start = time.perf_counter()
            self.compiled = self.train_step.lower(*arguments).compile()
            self.compiling = time.perf_counter() - start
        return self.compiled

    def _read(self, late: _Late, progress: Progress, record: EpochRecord, bar: tqdm) -> None:
        """Waits for a step, checks it and adds it to the record."""
        if not late.metrics.finite:
            raise InputError(self._describe_divergence(late, len(progress.history) + 1))
        record.add(late.metrics)
        bar.set_postfix(loss=f"{np.mean(record.losses[-20:]):.4f}", refresh=False)
        bar.update(len(late.metrics.labels))

    def _save(self, state: TrainState, progress: Progress, record: EpochRecord) -> None:
        made = len(progress.history) * self.steps + record.steps
        within = Progress(made, progress.history, record.seconds)
        self.checkpoints.save(state.model, state.rest, within, epoch=record.arrays())
        self.saved = made

    def _describe_stop(self, progress: Progress, record: EpochRecord) -> str:
        return (
            f"after step {record.steps} of {self.steps} of epoch {len(progress.history) + 1}, "
            "which is saved"
        )

    def _describe_divergence(self, late: _Late, epoch: int) -> str:
        loss = float(late.metrics.loss)
        what = f"the loss became {loss}"
        if math.isfinite(loss):
            what = "a gradient, a parameter or a statistic became infinite or NaN"
        logits = np.asarray(late.metrics.logits)
        guilty = ~np.isfinite(logits).all(axis=1)
        images = np.asarray(late.metrics.indices)[guilty if guilty.any() else slice(None)]
        names = ", ".join(self.names[index] for index in images[:8])
        more = f" and {len(images) - 8} more" if len(images) > 8 else ""
        saved = "nothing was saved before"
        if self.saved >= 0:
            saved = f"the last checkpoint, of {self.saved} steps, is from before"
        return (
            f"{what} in step {late.step + 1} (epoch {epoch}), on the images {names}"
            f"{more}; {saved}; look at these images, or lower train.learning_rate "
            f"({self.run.config.train.learning_rate}) and start with a new --workdir"
        )
