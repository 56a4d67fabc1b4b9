"""Evaluating a trained run: predictions, figures of merit and a report."""

import pathlib
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from stochconv_jax.data.dataset.image_dataset import ImageDataset
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.external import external_images, folder_table
from stochconv_jax.evaluation.kept_evaluation import REPORT, write_evaluation
from stochconv_jax.evaluation.report import write_report
from stochconv_jax.evaluation.run_thresholds import run_thresholds
from stochconv_jax.evaluation.summary import summarize
from stochconv_jax.hosts.exchange import first_then_others, is_first
from stochconv_jax.inference.predict import Predictions
from stochconv_jax.inference.trained_network import TrainedNetwork
from stochconv_jax.runs.provenance import provenance
from stochconv_jax.runs.run import Run

EXTERNAL = "external"


class _Judged(NamedTuple):
    """Images to judge a run on: a split of its own data, or others."""

    dataset: ImageDataset
    split: str
    name: str
    source: str
    left_out: list[str]


def evaluate(
    config: ConfigDict,
    workdir: str | pathlib.Path,
    data: str = "",
    table: str = "",
    image_column: str = "",
    label_column: str = "",
    group_column: str = "",
    output: str = "",
) -> None:
    """Evaluates a checkpoint in `workdir` and prints the figures.

    Leaves metrics.json, predictions.csv, images.csv (what is known of each image), logits.npz (of
    every draw of windows) and report.html. Of a test split and of other images, the thresholds are
    those of the run's validation split. Processes that joined predict together, and process 0
    writes and prints.

    Args:
      config: of the run, its `eval` section as wanted.
      workdir: directory of the run.
      data: directory of other labelled images, to judge the run on those; its own split where "".
      table: CSV that lists them, as given or within `data`; labels.csv where "".
      image_column: of their file names; called as the run's where "".
      label_column: of their classes, likewise.
      group_column: of what belongs together; none where "".
      output: directory to write; eval/ of the run, or for other images eval_ and the directory's
        name, where "".

    Raises:
      InputError: there is no checkpoint, `workdir` was made with another config, or a field or the
        data is not usable.
    """
    run = Run.open(workdir, config)
    directory = _output(run, data, output)
    if data:
        folder = folder_table(run, data, table, image_column, label_column, group_column)
        dataset, left_out = first_then_others(lambda: external_images(run, folder))
        judged = _Judged(dataset, "test", EXTERNAL, f"{data}, {folder.table}", left_out)
    elif table or image_column or label_column or group_column:
        raise InputError("a table or a column is named without --data; name the images' directory")
    else:
        split, section = config.eval.split, config.data
        source = f"{section.name} {section.directory}".rstrip()
        judged = _Judged(run.load_dataset(), split, split, source, [])
    for sentence in run.unseen(judged.dataset, judged.split):
        print(sentence)
    network = TrainedNetwork.restore(run)
    predictions = network.predict_split(judged.dataset, judged.split)
    thresholds = {}
    if judged.split == "test":
        thresholds = run_thresholds(network, None if data else judged.dataset)
    if not is_first():
        return
    metrics = _metrics(network, judged, predictions, thresholds)
    # A run of a study is called seed0 or so: its model's directory says more.
    name = "/".join(run.directory.absolute().parts[-2:])
    report = write_report(name, run.config, metrics, predictions, judged.dataset, judged.source)
    write_evaluation(directory, metrics, report, predictions, judged.dataset)
    for sentence in judged.left_out:
        print(f"left out: {sentence}")
    _print(metrics)
    print(f"report: {directory / REPORT}")


def _output(run: Run, data: str, output: str) -> pathlib.Path:
    name = f"eval_{pathlib.Path(data).resolve().name}" if data else "eval"
    directory = pathlib.Path(output) if output else run.directory / name
    if directory.exists() and not directory.is_dir():
        raise InputError(f"--output {directory} is a file; name a directory")
    return directory


def _metrics(
    network: TrainedNetwork,
    judged: _Judged,
    predictions: Predictions,
    thresholds: dict[str, float],
) -> dict[str, Any]:
    config, dataset = network.run.config, judged.dataset
    examples = [dataset.examples[index] for index in predictions.indices]
    return {
        "split": judged.name,
        "checkpoint": config.eval.checkpoint,
        "step": network.step,
        "epochs": network.epochs,
        "class_names": list(dataset.classes),
        **summarize(predictions, examples, dataset.classes, thresholds, config.eval.resamples),
        "eval": config.eval.to_dict(),
        "data": dataset.identity,
        "left_out": judged.left_out,
        "provenance": provenance(),
    }


def _print(metrics: dict[str, Any]) -> None:
    for name, value in metrics.items():
        if isinstance(value, int | str):
            print(f"{name:34}{value}")
        elif isinstance(value, float):
            limits = metrics["intervals"].get(name)
            shown = f"  [{limits[0]:.4f}, {limits[1]:.4f}]" if limits else ""
            print(f"{name:34}{value:.4f}{shown}")
