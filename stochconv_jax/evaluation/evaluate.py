"""Evaluating a trained run: predictions, figures of merit and a report."""

import dataclasses
import io
import json
import math
import pathlib
from typing import Any

import jax
import numpy as np
from flax import nnx
from ml_collections import ConfigDict
from tqdm import tqdm

from stochconv_jax.atomic_write import atomic_write, write_table
from stochconv_jax.config_limits import check_limits
from stochconv_jax.data.dataset.image_dataset import ImageDataset
from stochconv_jax.data.dataset.prepared import KNOWN
from stochconv_jax.data.load import load_dataset
from stochconv_jax.data.pipeline.batches import Pipeline
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.metrics import class_probabilities
from stochconv_jax.inference.predict import (
    ModelState,
    Predictions,
    make_predict,
    predict_all,
)
from stochconv_jax.runs.provenance import provenance
from stochconv_jax.evaluation.report import write_report
from stochconv_jax.evaluation.summary import summarize
from stochconv_jax.models.from_config import model_from_config
from stochconv_jax.runs.checkpoints import Checkpoints, check_config, check_data
from stochconv_jax.runs.devices import make_mesh, replicated


def evaluate(config: ConfigDict, workdir: str) -> None:
    """Evaluates a checkpoint in `workdir` and prints the figures.

    Leaves in eval/ metrics.json, predictions.csv, images.csv (what is known of each image),
    samples.npz (the probabilities of every draw of windows) and report.html. Of a test split, the
    thresholds are chosen on validation.

    Raises:
      InputError: there is no checkpoint, `workdir` was made with another config, or a field or the
        data is not usable.
    """
    directory = pathlib.Path(workdir)
    if not (directory / "config.json").is_file():
        raise InputError(f"{workdir} is not the directory of a run; train with train.py first")
    check_limits(config)
    check_config(config, directory)
    dataset = load_dataset(config.data)
    check_data(dataset.identity, directory)
    run = TrainedRun.restore(config, directory, dataset)
    predictions = run.predict(config.eval.split)
    choose = config.eval.split == "test" and len(dataset.classes) == 2
    examples = [dataset.examples[index] for index in predictions.indices]
    summary = summarize(
        predictions,
        examples,
        dataset.classes,
        run.predict("validation") if choose else None,
        config.eval.resamples,
    )
    metrics = {
        "split": config.eval.split,
        "checkpoint": config.eval.checkpoint,
        "step": run.step,
        "epochs": run.epochs,
        "class_names": list(dataset.classes),
        **summary,
        "eval": config.eval.to_dict(),
        "data": dataset.identity,
        "provenance": provenance(),
    }
    output = directory / "eval"
    output.mkdir(exist_ok=True)
    # It comes last, for whoever looks whether the run has been evaluated.
    (output / "metrics.json").unlink(missing_ok=True)
    write_predictions(output / "predictions.csv", dataset, predictions)
    facts = ([row.id, row.group, *(row.known.get(name, "") for name in KNOWN)] for row in examples)
    write_table(output / "images.csv", ["id", "group", *KNOWN], facts)
    atomic_write(output / "samples.npz", _archive(predictions))
    # A run of a study is called seed0 or so: its model's directory says more.
    name = "/".join(directory.absolute().parts[-2:])
    atomic_write(output / "report.html", write_report(name, config, metrics, predictions, dataset))
    atomic_write(output / "metrics.json", json.dumps(without_nan(metrics), indent=2) + "\n")
    _print(metrics)
    print(f"report: {output / 'report.html'}")


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A run's network as a checkpoint left it, and the data set that it was trained on.

    Attributes:
      config: of the run.
      dataset: its images.
      state: parameters and statistics.
      step: training steps made.
      epochs: that the run has trained, whichever of them the checkpoint is of.
    """

    config: ConfigDict
    dataset: ImageDataset
    state: ModelState
    step: int
    epochs: int

    @classmethod
    def restore(
        cls, config: ConfigDict, workdir: pathlib.Path, dataset: ImageDataset
    ) -> "TrainedRun":
        """Restores the checkpoint that `eval.checkpoint` names.

        Raises:
          InputError: there is none.
        """
        model = model_from_config(config, dataset.num_outputs, abstract=True)
        with Checkpoints(workdir, replicated(make_mesh())) as checkpoints:
            state, step = checkpoints.restore_model(
                config.eval.checkpoint, nnx.state(model, nnx.Param, nnx.BatchStat)
            )
            epochs = checkpoints.epochs()
        return cls(config, dataset, tuple(state), step, epochs)

    def predict(self, split: str) -> Predictions:
        """Predicts a split with `eval.samples` draws of windows.

        Raises:
          InputError: the split is empty or a prediction is not finite.
        """
        config, mesh = self.config, make_mesh()
        model = model_from_config(config, self.dataset.num_outputs, abstract=True)
        rows = -(-config.eval.batch_size // mesh.size) * mesh.size
        high = "stochastic" in config.model.branches
        pipeline = Pipeline.from_config(self.dataset, config.data, high)
        count = -(-len(self.dataset.indices(split)) // rows)
        batches = tqdm(
            pipeline.evaluation_batches(split, rows),
            f"evaluating {split}",
            total=count,
            unit="batch",
            leave=False,
        )
        predict = make_predict(model, mesh, config.eval.samples)
        key = jax.random.fold_in(jax.random.key(config.seed), 1)
        return predict_all(predict, self.state, batches, key)


def write_predictions(path: pathlib.Path, dataset: ImageDataset, predictions: Predictions) -> None:
    """Writes a row an image: id, label, probability, spread, and a column a class of several.

    `probability` is the positive class's, or the most probable class's of several; `spread` is the
    standard deviation of that probability over the window samples.
    """
    samples = class_probabilities(predictions.samples)
    mean, spread = samples.mean(axis=1), samples.std(axis=1)
    binary = len(dataset.classes) == 2
    shown = np.ones(len(mean), int) if binary else mean.argmax(axis=1)
    header = ["id", "label", "probability", "spread"]
    header += [] if binary else [f"probability_{name}" for name in dataset.classes]

    def row(number: int, index: int) -> list[str]:
        example = dataset.examples[index]
        values = [mean[number, shown[number]], spread[number, shown[number]]]
        values += [] if binary else list(mean[number])
        # Nine digits tell any two float32 apart, so that no rank is lost.
        return [example.id, example.label, *(f"{value:.9g}" for value in values)]

    write_table(path, header, (row(*pair) for pair in enumerate(predictions.indices)))


def without_nan(value: Any) -> Any:
    """Returns a tree of JSON with null for every number that is none, which JSON cannot hold."""
    if isinstance(value, dict):
        return {name: without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _print(metrics: dict[str, Any]) -> None:
    for name, value in metrics.items():
        if isinstance(value, int | str):
            print(f"{name:34}{value}")
        elif isinstance(value, float):
            limits = metrics["intervals"].get(name)
            shown = f"  [{limits[0]:.4f}, {limits[1]:.4f}]" if limits else ""
            print(f"{name:34}{value:.4f}{shown}")


def _archive(predictions: Predictions) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **predictions._asdict())
    return content.getvalue()
