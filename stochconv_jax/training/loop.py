"""Training from a config to a directory of checkpoints, metrics and curves.

The order of an epoch is a contract: its steps; validation; the checkpoint, which carries the rows
of metrics; then the files that are made from those rows. Whenever a run is killed, the same command
goes on from its latest checkpoint as if nothing had happened.
"""

import datetime
import json
import math
import pathlib
import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from scipy.special import expit, softmax
from tqdm import tqdm

from stochconv_jax.atomic_write import atomic_write
from stochconv_jax.config_limits import check_limits
from stochconv_jax.data.load import load_dataset
from stochconv_jax.data.pipeline.batches import Batch, Pipeline
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.metrics import log_loss, roc_auc
from stochconv_jax.evaluation.predict import (
    Predict,
    make_predict,
    predict_all,
)
from stochconv_jax.models.from_config import model_from_config
from stochconv_jax.runs.checkpoints import (
    Checkpoints,
    Progress,
    check_config,
    check_data,
    save_identity,
)
from stochconv_jax.runs.devices import make_mesh, replicated
from stochconv_jax.training.cost import network_cost
from stochconv_jax.training.history import History
from stochconv_jax.training.optimizer import make_optimizer
from stochconv_jax.training.step import (
    StepMetrics,
    TrainState,
    create_state,
    make_train_step,
)


def train(config: ConfigDict, workdir: str) -> None:
    """Trains until `train.epochs`, from the latest checkpoint in `workdir` where there is one.

    Leaves config.json, data.json, cost.json, checkpoints/, metrics.csv, TensorBoard events and
    curves.png.

    Raises:
      InputError: a field or the data is not usable, `workdir` was made with another config, or the
        loss is no longer finite.
    """
    directory = pathlib.Path(workdir)
    check_limits(config)
    check_config(config, directory)
    run = _Run(config)
    check_data(run.data, directory)
    save_identity(config, run.data, directory)
    with (
        Checkpoints(directory, replicated(run.mesh)) as checkpoints,
        History(directory) as history,
    ):
        state, progress = run.restore(checkpoints)
        history.write(progress.history)
        done = len(progress.history)
        if done >= config.train.epochs:
            print(f"all {done} epochs are done; raise train.epochs to train further", flush=True)
        elif done:
            print(f"continuing after epoch {done}", flush=True)
        batches = run.pipeline.training_batches(config.train.batch_size, config.seed, progress.step)
        for epoch in range(done + 1, config.train.epochs + 1):
            validation_loss = progress.history[-1]["val_loss"] if progress.history else math.inf
            state, row = run.epoch(epoch, state, progress.step, batches, validation_loss)
            progress = Progress(progress.step + run.steps, [*progress.history, row])
            model = (state.parameters, state.batch_stats)
            checkpoints.save(model, state.optimizer, progress, row["val_auc"])
            history.write(progress.history)
            if not (directory / "cost.json").exists():
                atomic_write(directory / "cost.json", json.dumps(run.cost(), indent=2) + "\n")
            print(_describe(row, config.train.epochs, run.compiling), flush=True)


class _Run:
    """What stays the same from epoch to epoch."""

    def __init__(self, config: ConfigDict):
        self.config = config
        self.mesh = make_mesh()
        if config.train.batch_size % self.mesh.size:
            raise InputError(
                f"train.batch_size is {config.train.batch_size}, which does not divide over "
                f"{self.mesh.size} devices; use a multiple"
            )
        # A network that cannot be is told before the data are prepared.
        model_from_config(config, num_outputs=1, abstract=True)
        dataset = load_dataset(config.data)
        self.num_outputs = dataset.num_outputs
        self.data = dataset.identity
        high = "stochastic" in config.model.branches
        self.pipeline = Pipeline.from_config(dataset, config.data, high)
        whole_pass = self.pipeline.training_steps(config.train.batch_size)
        self.steps = config.train.steps_per_epoch or whole_pass
        self.abstract = model_from_config(config, self.num_outputs, abstract=True)
        self.optimizer = make_optimizer(config.train, self.steps)
        self.predict: Predict = make_predict(self.abstract, self.mesh, samples=1)
        self.train_step: Any = make_train_step(self.abstract, self.optimizer, self.mesh)
        self.compiled: jax.stages.Compiled | None = None
        self.compiling = 0.0  # seconds, of the epoch that compiled
        self.train_key, self.validation_key = jax.random.split(jax.random.key(config.seed))

    def restore(self, checkpoints: Checkpoints) -> tuple[TrainState, Progress]:
        """Returns the latest state, or a fresh one, on every device."""
        shapes = jax.eval_shape(lambda: create_state(self.abstract, self.optimizer))
        restored = checkpoints.restore_latest(shapes[:2], shapes.optimizer)
        if restored is None:
            model = model_from_config(self.config, self.num_outputs)
            state, progress = create_state(model, self.optimizer), Progress(0, [])
        else:
            (parameters, batch_stats), optimizer, progress = restored
            state = TrainState(parameters, batch_stats, optimizer)
        return jax.device_put(state, replicated(self.mesh)), progress

    def epoch(
        self,
        epoch: int,
        state: TrainState,
        first_step: int,
        batches: Iterator[Batch],
        validation_loss: float,
    ) -> tuple[TrainState, dict[str, float]]:
        """Trains and validates once; returns the new state and the epoch's row of metrics.

        `validation_loss` is the epoch's before, infinite where there is none.
        """
        plateau_value = np.nan_to_num(np.float32(validation_loss), nan=np.inf, posinf=np.inf)
        start = time.perf_counter()
        self.compiling = 0.0
        steps: list[tuple[StepMetrics, np.ndarray]] = []
        losses: list[float] = []
        after_first = 0.0
        images = self.config.train.batch_size
        title = f"epoch {epoch}/{self.config.train.epochs}"
        with tqdm(total=self.steps * images, desc=title, unit="image", leave=False) as bar:
            if self.compiled is None:
                bar.set_postfix_str("the first step compiles, which takes a while")
            for step in range(first_step, first_step + self.steps):
                batch = next(batches)
                key = jax.random.fold_in(self.train_key, step)
                if self.compiled is None:
                    self.compiled = self.train_step.lower(
                        state, batch, key, plateau_value
                    ).compile()
                    self.compiling = time.perf_counter() - start
                state, metrics = self.compiled(state, batch, key, plateau_value)
                steps.append((metrics, batch["label"]))
                # One step late, so that the device works while the next batch is read.
                for late, _ in steps[len(losses) : -1]:
                    losses.append(self._finite_loss(late, epoch))
                    after_first = after_first or time.perf_counter()
                bar.set_postfix(
                    loss=f"{np.mean(losses[-20:]):.4f}" if losses else "", refresh=False
                )
                bar.update(images)
            losses.append(self._finite_loss(steps[-1][0], epoch))
        # The first step, which may compile, is left out where there are others.
        timed = self.steps - 1 if after_first else self.steps
        speed = timed * images / (time.perf_counter() - (after_first or start))
        validation_loss, validation_auc = self._validate(state)
        logits = np.concatenate([np.asarray(metrics.logits, np.float64) for metrics, _ in steps])
        seen = expit(logits) if logits.shape[-1] == 1 else softmax(logits, axis=-1)
        return state, {
            "epoch": epoch,
            "train_loss": float(np.mean(losses)),
            "val_loss": validation_loss,
            "train_auc": roc_auc(np.concatenate([labels for _, labels in steps]), seen),
            "val_auc": validation_auc,
            "seconds": round(time.perf_counter() - start, 3),
            "images_per_second": round(speed, 3),
        }

    def cost(self) -> dict[str, float]:
        """Returns what the network costs, once an epoch has been trained."""
        assert self.compiled is not None
        return network_cost(self.config, self.abstract, self.compiled)

    def _finite_loss(self, metrics: StepMetrics, epoch: int) -> float:
        loss = float(metrics.loss)
        if not math.isfinite(loss):
            raise InputError(
                f"the loss became {loss} in epoch {epoch}; lower train.learning_rate "
                f"({self.config.train.learning_rate}) and start with a new --workdir"
            )
        return loss

    def _validate(self, state: TrainState) -> tuple[float, float]:
        """Returns the validation split's loss and AUC with one window sample an image."""
        rows = -(-self.config.eval.batch_size // self.mesh.size) * self.mesh.size
        batches = self.pipeline.evaluation_batches("validation", rows)
        model = (state.parameters, state.batch_stats)
        predictions = predict_all(self.predict, model, batches, self.validation_key)
        mean = predictions.samples.mean(axis=1)
        return log_loss(predictions.labels, mean), roc_auc(predictions.labels, mean)


def _describe(row: dict[str, float], epochs: int, compiling: float) -> str:
    seconds = (epochs - row["epoch"]) * (row["seconds"] - compiling)
    left = datetime.timedelta(seconds=round(seconds))
    return (
        f"epoch {row['epoch']}/{epochs}  "
        f"loss {row['train_loss']:.4f} (validation {row['val_loss']:.4f})  "
        f"AUC {row['train_auc']:.4f} (validation {row['val_auc']:.4f})  "
        f"{row['images_per_second']:.1f} images/s  {left} left"
    )
