"""Training from a config to a directory of checkpoints, metrics and curves.

The order of an epoch is a contract: its steps, with checkpoints in between every
`train.checkpoint_minutes`; validation; the checkpoint, which carries the rows of metrics; then the
files that are made from those rows. Whenever a run is killed, the same command goes on from its
latest checkpoint as if nothing had happened.
"""

import contextlib
import datetime
import functools
import json
import math

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from stochconv_jax.atomic_write import atomic_write
from stochconv_jax.data.dataset.image_dataset import ImageDataset
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.estimate import roc_auc_value
from stochconv_jax.evaluation.metrics import log_loss
from stochconv_jax.hosts.exchange import is_first, of_first
from stochconv_jax.inference.predict import Predict, make_predict, predict_all, rows_per_batch
from stochconv_jax.keys import Purpose
from stochconv_jax.runs.checkpoints import Checkpoints, Progress
from stochconv_jax.runs.devices import copy, make_agreement, make_mesh
from stochconv_jax.runs.initial_weights import initial_model
from stochconv_jax.runs.run import Run
from stochconv_jax.training.cost import network_cost
from stochconv_jax.training.early_stopping import is_finished
from stochconv_jax.training.epoch import EpochSteps
from stochconv_jax.training.epoch_record import EpochRecord
from stochconv_jax.training.history import History
from stochconv_jax.training.optimizer import make_optimizer
from stochconv_jax.training.recipe import Recipe
from stochconv_jax.training.state import TrainState, create_state
from stochconv_jax.training.step import make_train_step


def train(config: ConfigDict, workdir: str) -> None:
    """Trains until `train.epochs` or `train.patience` end it, from the latest checkpoint, if any.

    Leaves what `Run` names, cost.json, metrics.csv, TensorBoard events and curves.png.

    Raises:
      InputError: a field or the data is not usable, `workdir` was made with another config, another
        process trains in it, or the loss or a gradient is no longer finite.
      Terminated: SIGTERM came; what was made is saved where it came between two steps.
    """
    mesh = make_mesh()
    if config.train.batch_size % mesh.size:
        raise InputError(
            f"train.batch_size is {config.train.batch_size}, which does not divide over "
            f"{mesh.size} devices; use a multiple"
        )
    with Run.create(config, workdir) as (run, dataset):
        for sentence in [*run.unseen(dataset, "all"), *of_first(run.set_aside_damaged)]:
            print(sentence, flush=True)
        with run.checkpoints(mesh, saves=True) as checkpoints:
            _Training(run, dataset, mesh, checkpoints).run_epochs(History(run.directory))


class _Training:
    """What stays the same from epoch to epoch."""

    def __init__(self, run: Run, dataset: ImageDataset, mesh: Mesh, checkpoints: Checkpoints):
        self.run = run
        self.mesh = mesh
        self.checkpoints = checkpoints
        self.abstract = run.abstract_model()
        self.pipeline = run.pipeline(dataset)
        whole_pass = self.pipeline.training_steps(run.config.train.batch_size)
        steps = run.config.train.steps_per_epoch or whole_pass
        weights = run.config.train.class_weights
        if weights and len(weights) != len(run.classes):
            raise InputError(
                f"train.class_weights has {len(weights)} numbers; give one for each class: "
                f"{', '.join(run.classes)}"
            )
        self.recipe = Recipe.from_config(run.config.train)
        self.optimizer = make_optimizer(run.config.train, steps)
        self.predict: Predict = make_predict(self.abstract, mesh, draws=1)
        self.steps = EpochSteps(
            run,
            mesh,
            [example.id for example in dataset.examples],
            make_train_step(self.abstract, self.optimizer, mesh, self.recipe),
            steps,
            checkpoints,
            make_agreement(mesh),
        )

    def run_epochs(self, history: History) -> None:
        """Trains the epochs that are left, saving each."""
        config = self.run.config.train
        state, progress, record = self._restore()
        history.write(progress.history)
        done = len(progress.history)
        if is_finished(progress.history, config):
            print(_describe_end(done, config.epochs), flush=True)
        elif progress.step:
            within = f", step {record.steps} of {self.steps.steps} of the next" * bool(record.steps)
            print(f"continuing after epoch {done}{within}", flush=True)
        batches = self.pipeline.training_batches(
            config.batch_size, self.run.config.seed, progress.step
        )
        with contextlib.closing(batches):  # its workers, however the training ends
            while not is_finished(progress.history, config):
                state = self.steps.train(state, progress, record, batches)
                progress = self._end_epoch(state, progress, record, history)
                record = EpochRecord()

    def _end_epoch(
        self, state: TrainState, progress: Progress, record: EpochRecord, history: History
    ) -> Progress:
        """Validates, saves and tells; returns the progress."""
        config = self.run.config.train
        row = self._row(state, progress, record)
        rows = [*progress.history, row]
        progress = Progress(len(rows) * self.steps.steps, rows)
        self.checkpoints.save(state.model, state.rest, progress, row["val_auc"])
        self.steps.saved = progress.step
        history.write(progress.history)
        self._write_cost()
        print(_describe(row, config.epochs, self.steps.compiling), flush=True)
        if len(rows) < config.epochs and is_finished(progress.history, config):
            print(_describe_end(len(rows), config.epochs), flush=True)
        return progress

    def _restore(self) -> tuple[TrainState, Progress, EpochRecord]:
        """Returns the latest state, or a fresh one, on every device, and the epoch it is in."""
        create = functools.partial(create_state, optimizer=self.optimizer, recipe=self.recipe)
        shapes = jax.eval_shape(lambda: create(self.abstract))
        found = self.checkpoints.restore_latest(shapes.model, shapes.rest)
        if found is None:
            run = self.run
            model = initial_model(run.config, run.num_outputs, run.directory, run.metadata_inputs)
            state, progress, record = create(model), Progress(0, []), EpochRecord()
        else:
            averages = self.recipe.average_decay > 0
            state = TrainState.of_saved(found.model, found.optimizer, averages)
            progress, record = found.progress, EpochRecord(found.epoch, found.progress.seconds)
            self.steps.saved = progress.step
            self._tell_lost_best(progress)
        return copy(state, self.mesh), progress, record

    def _tell_lost_best(self, progress: Progress) -> None:
        """Says so where the best epoch's checkpoint was damaged and is none any more."""
        ends = {
            row["epoch"] * self.steps.steps: row["val_auc"]
            for row in progress.history
            if not math.isnan(row["val_auc"])
        }
        kept = [ends[step] for step in self.checkpoints.steps() if step in ends]
        best = max(ends.values(), default=0.0)
        if ends and max(kept, default=-1.0) < best:
            left = (
                f"the best that is kept has {max(kept):.4f}" if kept else "no whole epoch's is kept"
            )
            print(f"the checkpoint of the best validation AUC, {best:.4f}, is lost; {left}")

    def _row(self, state: TrainState, progress: Progress, record: EpochRecord) -> dict[str, float]:
        """Validates; returns the epoch's row of metrics."""
        validation_loss, validation_auc = self._validate(state)
        return {
            "epoch": len(progress.history) + 1,
            "train_loss": record.loss(),
            "val_loss": validation_loss,
            "train_auc": record.auc(),
            "val_auc": validation_auc,
            "seconds": round(record.seconds, 3),
            "images_per_second": round(record.images_per_second, 3),
        }

    def _validate(self, state: TrainState) -> tuple[float, float]:
        """Returns the validation split's loss and AUC with one draw of windows per image."""
        rows = rows_per_batch(self.run.config.eval.batch_size, self.mesh)
        batches = self.pipeline.evaluation_batches("validation", rows)
        key = self.run.key(Purpose.VALIDATION)
        predictions = predict_all(self.predict, state.model, batches, key, self.mesh)
        mean = predictions.probabilities.mean(axis=1)
        return log_loss(predictions.labels, mean), roc_auc_value(predictions.labels, mean)

    def _write_cost(self) -> None:
        path = self.run.directory / "cost.json"
        if is_first() and not path.exists() and self.steps.compiled is not None:
            cost = network_cost(self.run.config, self.abstract, self.steps.compiled)
            atomic_write(path, json.dumps(cost, indent=2) + "\n")


def _describe_end(done: int, epochs: int) -> str:
    if done >= epochs:
        return f"all {done} epochs are done; raise train.epochs to train further"
    return (
        f"stopped after epoch {done}, since validation gained nothing for train.patience epochs; "
        "raise it to train further"
    )


def _describe(row: dict[str, float], epochs: int, compiling: float) -> str:
    seconds = (epochs - row["epoch"]) * (row["seconds"] - compiling)
    left = datetime.timedelta(seconds=round(seconds))
    return (
        f"epoch {row['epoch']}/{epochs}  "
        f"loss {row['train_loss']:.4f} (validation {row['val_loss']:.4f})  "
        f"AUC {row['train_auc']:.4f} (validation {row['val_auc']:.4f})  "
        f"{row['images_per_second']:.1f} images/s  {left} left"
    )
