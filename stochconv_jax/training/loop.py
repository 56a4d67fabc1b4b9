"""Training from a config to a directory of checkpoints, metrics and curves.

The order of an epoch is a contract: its steps; validation; the checkpoint, which carries the rows
of metrics; then the files that are made from those rows. Whenever a run is killed, the same command
goes on from its latest checkpoint as if nothing had happened.
"""

import datetime
import functools
import json
import math
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict
from tqdm import tqdm

from stochconv_jax.atomic_write import atomic_write
from stochconv_jax.data.dataset.image_dataset import ImageDataset
from stochconv_jax.data.pipeline.batches import Batch
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.estimate import roc_auc_value
from stochconv_jax.evaluation.metrics import log_loss
from stochconv_jax.inference.predict import Predict, make_predict, predict_all, rows_per_batch
from stochconv_jax.inference.probabilities import class_probabilities
from stochconv_jax.keys import Purpose
from stochconv_jax.runs.checkpoints import Checkpoints, Progress
from stochconv_jax.runs.devices import make_mesh, replicated
from stochconv_jax.runs.initial_weights import initial_model
from stochconv_jax.runs.run import Run
from stochconv_jax.training.cost import network_cost
from stochconv_jax.training.early_stopping import is_finished
from stochconv_jax.training.history import History
from stochconv_jax.training.optimizer import make_optimizer
from stochconv_jax.training.recipe import Recipe
from stochconv_jax.training.state import TrainState, create_state
from stochconv_jax.training.step import StepMetrics, make_train_step

# What stands for the validation loss before the first: finite, for the first epoch would count as
# one without improvement if nothing could be below it.
NO_LOSS = 1e30


def train(config: ConfigDict, workdir: str) -> None:
    """Trains until `train.epochs` or `train.patience` end it, from the latest checkpoint, if any.

    Leaves what `Run` names, cost.json, metrics.csv, TensorBoard events and curves.png.

    Raises:
      InputError: a field or the data is not usable, `workdir` was made with another config, another
        process trains in it, or the loss is no longer finite.
    """
    mesh = make_mesh()
    if config.train.batch_size % mesh.size:
        raise InputError(
            f"train.batch_size is {config.train.batch_size}, which does not divide over "
            f"{mesh.size} devices; use a multiple"
        )
    with Run.create(config, workdir) as (run, dataset):
        for sentence in run.unseen(dataset, "all"):
            print(sentence, flush=True)
        training = _Training(run, dataset, mesh)
        with run.checkpoints(mesh) as checkpoints, History(run.directory) as history:
            training.run_epochs(checkpoints, history)


class _Steps(NamedTuple):
    """What the steps of an epoch tell: losses, labels and logits they met, images per second."""

    losses: list[float]
    labels: np.ndarray
    logits: np.ndarray
    speed: float


class _Training:
    """What stays the same from epoch to epoch."""

    def __init__(self, run: Run, dataset: ImageDataset, mesh: Mesh):
        self.run = run
        self.mesh = mesh
        self.abstract = run.abstract_model()
        self.pipeline = run.pipeline(dataset)
        whole_pass = self.pipeline.training_steps(run.config.train.batch_size)
        self.steps = run.config.train.steps_per_epoch or whole_pass
        weights = run.config.train.class_weights
        if weights and len(weights) != len(run.classes):
            raise InputError(
                f"train.class_weights has {len(weights)} numbers; give one for each class: "
                f"{', '.join(run.classes)}"
            )
        self.recipe = Recipe.from_config(run.config.train)
        self.optimizer = make_optimizer(run.config.train, self.steps)
        self.predict: Predict = make_predict(self.abstract, mesh, draws=1)
        self.train_step: Any = make_train_step(self.abstract, self.optimizer, mesh, self.recipe)
        self.compiled: jax.stages.Compiled | None = None
        self.compiling = 0.0  # seconds, of the epoch that compiled

    def run_epochs(self, checkpoints: Checkpoints, history: History) -> None:
        """Trains the epochs that are left, saving each."""
        config = self.run.config.train
        state, progress = self._restore(checkpoints)
        history.write(progress.history)
        done = len(progress.history)
        if is_finished(progress.history, config):
            print(_describe_end(done, config.epochs), flush=True)
        elif done:
            print(f"continuing after epoch {done}", flush=True)
        batches = self.pipeline.training_batches(
            config.batch_size, self.run.config.seed, progress.step
        )
        while not is_finished(progress.history, config):
            epoch = len(progress.history) + 1
            state, row = self._epoch(epoch, state, progress, batches)
            progress = Progress(progress.step + self.steps, [*progress.history, row])
            checkpoints.save(state.model, state.rest, progress, row["val_auc"])
            history.write(progress.history)
            self._write_cost()
            print(_describe(row, config.epochs, self.compiling), flush=True)
            if epoch < config.epochs and is_finished(progress.history, config):
                print(_describe_end(epoch, config.epochs), flush=True)

    def _restore(self, checkpoints: Checkpoints) -> tuple[TrainState, Progress]:
        """Returns the latest state, or a fresh one, on every device."""
        create = functools.partial(create_state, optimizer=self.optimizer, recipe=self.recipe)
        shapes = jax.eval_shape(lambda: create(self.abstract))
        restored = checkpoints.restore_latest(shapes.model, shapes.rest)
        if restored is None:
            run = self.run
            model = initial_model(run.config, run.num_outputs, run.directory, run.metadata_inputs)
            state, progress = create(model), Progress(0, [])
        else:
            saved, rest, progress = restored
            state = TrainState.of_saved(saved, rest, averages=self.recipe.average_decay > 0)
        return jax.device_put(state, replicated(self.mesh)), progress

    def _epoch(
        self, epoch: int, state: TrainState, progress: Progress, batches: Iterator[Batch]
    ) -> tuple[TrainState, dict[str, float]]:
        """Trains and validates once; returns the new state and the epoch's row of metrics."""
        start = time.perf_counter()
        state, steps = self._train(epoch, state, progress, batches)
        validation_loss, validation_auc = self._validate(state)
        return state, {
            "epoch": epoch,
            "train_loss": float(np.mean(steps.losses)),
            "val_loss": validation_loss,
            "train_auc": roc_auc_value(steps.labels, class_probabilities(steps.logits)),
            "val_auc": validation_auc,
            "seconds": round(time.perf_counter() - start, 3),
            "images_per_second": round(steps.speed, 3),
        }

    def _train(
        self, epoch: int, state: TrainState, progress: Progress, batches: Iterator[Batch]
    ) -> tuple[TrainState, _Steps]:
        config, key = self.run.config.train, self.run.key(Purpose.TRAINING)
        validation_loss = np.float32(
            progress.history[-1]["val_loss"] if progress.history else NO_LOSS
        )
        found: list[tuple[StepMetrics, np.ndarray]] = []
        losses: list[float] = []
        start, after_first = time.perf_counter(), 0.0
        self.compiling = 0.0
        title = f"epoch {epoch}/{config.epochs}"
        with tqdm(
            total=self.steps * config.batch_size, desc=title, unit="image", leave=False
        ) as bar:
            if self.compiled is None:
                bar.set_postfix_str("the first step compiles, which takes a while")
            for step in range(progress.step, progress.step + self.steps):
                batch = next(batches)
                arguments = (state, batch, jax.random.fold_in(key, step), validation_loss)
                if self.compiled is None:
                    self.compiled = self.train_step.lower(*arguments).compile()
                    self.compiling = time.perf_counter() - start
                state, metrics = self.compiled(*arguments)
                found.append((metrics, batch["label"]))
                # One step late, so that the device works while the next batch is read.
                for late, _ in found[len(losses) : -1]:
                    losses.append(self._finite_loss(late, epoch))
                    after_first = after_first or time.perf_counter()
                shown = f"{np.mean(losses[-20:]):.4f}" if losses else ""
                bar.set_postfix(loss=shown, refresh=False)
                bar.update(config.batch_size)
            losses.append(self._finite_loss(found[-1][0], epoch))
        # The first step, which may compile, is left out where there are others.
        timed = self.steps - 1 if after_first else self.steps
        speed = timed * config.batch_size / (time.perf_counter() - (after_first or start))
        labels = np.concatenate([labels for _, labels in found])
        logits = np.concatenate([np.asarray(metrics.logits) for metrics, _ in found])
        return state, _Steps(losses, labels, logits, speed)

    def _validate(self, state: TrainState) -> tuple[float, float]:
        """Returns the validation split's loss and AUC with one draw of windows per image."""
        rows = rows_per_batch(self.run.config.eval.batch_size, self.mesh)
        batches = self.pipeline.evaluation_batches("validation", rows)
        key = self.run.key(Purpose.VALIDATION)
        predictions = predict_all(self.predict, state.model, batches, key)
        mean = predictions.probabilities.mean(axis=1)
        return log_loss(predictions.labels, mean), roc_auc_value(predictions.labels, mean)

    def _finite_loss(self, metrics: StepMetrics, epoch: int) -> float:
        loss = float(metrics.loss)
        if not math.isfinite(loss):
            raise InputError(
                f"the loss became {loss} in epoch {epoch}; lower train.learning_rate "
                f"({self.run.config.train.learning_rate}) and start with a new --workdir"
            )
        return loss

    def _write_cost(self) -> None:
        path = self.run.directory / "cost.json"
        if not path.exists() and self.compiled is not None:
            cost = network_cost(self.run.config, self.abstract, self.compiled)
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
