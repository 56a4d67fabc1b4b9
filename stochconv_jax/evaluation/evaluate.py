"""Evaluating a trained run: predictions, figures of merit and a report."""

import csv
import json
import math
import pathlib

import jax
import numpy as np
from flax import nnx
from ml_collections import ConfigDict
from tqdm import tqdm

from stochconv_jax.checkpoints import Checkpoints, check_config, check_data
from stochconv_jax.config_limits import check_limits
from stochconv_jax.data.image_dataset import ImageDataset
from stochconv_jax.data.load import load_dataset
from stochconv_jax.data.pipeline import Pipeline
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.metrics import class_probabilities, summarize
from stochconv_jax.evaluation.predict import (
    Predictions,
    make_mesh,
    make_predict,
    predict_all,
    replicated,
)
from stochconv_jax.evaluation.report import write_report
from stochconv_jax.models.from_config import model_from_config


def evaluate(config: ConfigDict, workdir: str) -> None:
    """Evaluates a checkpoint in `workdir` and prints the figures.

    Leaves eval/metrics.json, eval/predictions.csv and eval/report.html there.

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
    predictions, step = predict_run(config, directory, dataset)
    metrics = {
        "split": config.eval.split,
        "checkpoint": config.eval.checkpoint,
        "step": step,
        **summarize(predictions.labels, predictions.samples),
    }
    output = directory / "eval"
    output.mkdir(exist_ok=True)
    # JSON has no NaN: a figure that the split's classes do not allow is null.
    finite = {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in metrics.items()
    }
    _write(output / "metrics.json", json.dumps(finite, indent=2) + "\n")
    write_predictions(output / "predictions.csv", dataset, predictions)
    _write(output / "report.html", write_report(config, metrics, predictions, dataset.classes))
    for name, value in metrics.items():
        print(f"{name:24}{value:.4f}" if isinstance(value, float) else f"{name:24}{value}")
    print(f"report: {output / 'report.html'}")


def predict_run(
    config: ConfigDict, workdir: pathlib.Path, dataset: ImageDataset
) -> tuple[Predictions, int]:
    """Predicts `eval.split` with a run's checkpoint; returns the predictions and its step."""
    model = model_from_config(config, dataset.num_outputs, abstract=True)
    mesh = make_mesh()
    with Checkpoints(workdir, replicated(mesh)) as checkpoints:
        state, step = checkpoints.restore_model(
            config.eval.checkpoint, nnx.state(model, nnx.Param, nnx.BatchStat)
        )
    rows = -(-config.eval.batch_size // mesh.size) * mesh.size
    high = "stochastic" in config.model.branches
    pipeline = Pipeline.from_config(dataset, config.data, high)
    count = -(-len(dataset.indices(config.eval.split)) // rows)
    batches = tqdm(
        pipeline.evaluation_batches(config.eval.split, rows),
        f"evaluating {config.eval.split}",
        total=count,
        unit="batch",
        leave=False,
    )
    predict = make_predict(model, mesh, config.eval.samples)
    key = jax.random.fold_in(jax.random.key(config.seed), 1)
    return predict_all(predict, tuple(state), batches, key), step


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
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for row, index in enumerate(predictions.indices):
            example = dataset.examples[index]
            values = [mean[row, shown[row]], spread[row, shown[row]]]
            values += [] if binary else list(mean[row])
            writer.writerow([example.id, example.label, *(f"{value:.6f}" for value in values)])
    part.replace(path)


def _write(path: pathlib.Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
