"""The files of an evaluation: what is written, and what comparisons read again."""

import dataclasses
import io
import json
import math
import pathlib
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.lib import format as npy

from stochconv_jax.atomic_write import atomic_write, read_table, write_table
from stochconv_jax.claimed_size import can_hold
from stochconv_jax.data.dataset.image_dataset import ImageDataset
from stochconv_jax.data.dataset.prepared import KNOWN
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.json_numbers import without_nan
from stochconv_jax.inference.predict import Predictions
from stochconv_jax.inference.probabilities import class_probabilities
from stochconv_jax.saved_config import read_json

METRICS = "metrics.json"
PREDICTIONS = "predictions.csv"
IMAGES = "images.csv"
LOGITS = "logits.npz"
REPORT = "report.html"
# Of metrics.json, what comparisons ask beside the classes.
COMPARED = ("epochs", "split", "checkpoint")


@dataclasses.dataclass(frozen=True)
class KeptEvaluation:
    """What an evaluation kept, images in the order of their names.

    Attributes:
      metrics: all that metrics.json holds.
      ids: the images' names.
      groups: what of them belongs together; "" for alone.
      labels: int [N].
      draws: float64 [N, K, classes], the probabilities of every draw of windows.
    """

    metrics: Mapping[str, Any]
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    labels: np.ndarray
    draws: np.ndarray


def write_evaluation(
    directory: pathlib.Path,
    metrics: Mapping[str, Any],
    report: str,
    predictions: Predictions,
    dataset: ImageDataset,
) -> None:
    """Writes every file, metrics.json last: by it others tell that an evaluation is done."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / METRICS).unlink(missing_ok=True)
    write_predictions(directory / PREDICTIONS, dataset, predictions)
    examples = [dataset.examples[index] for index in predictions.indices]
    facts = ([row.id, row.group, *(row.known.get(name, "") for name in KNOWN)] for row in examples)
    write_table(directory / IMAGES, ["id", "group", *KNOWN], facts)
    archive = io.BytesIO()
    np.savez_compressed(archive, **predictions._asdict())
    atomic_write(directory / LOGITS, archive.getvalue())
    atomic_write(directory / REPORT, report)
    atomic_write(directory / METRICS, json.dumps(without_nan(dict(metrics)), indent=2) + "\n")


def write_predictions(path: pathlib.Path, dataset: ImageDataset, predictions: Predictions) -> None:
    """Writes a row per image: id, label, probability, spread, and a column per class of several.

    `probability` is the positive class's, or the most probable class's of several; `spread` is the
    standard deviation of that probability over the draws of windows.
    """
    draws = predictions.probabilities
    mean, spread = draws.mean(axis=1), draws.std(axis=1)
    binary = len(dataset.classes) == 2
    shown = np.ones(len(mean), int) if binary else mean.argmax(axis=1)
    header = ["id", "label", "probability", "spread"]
    header += [] if binary else [f"probability_{name}" for name in dataset.classes]

    def row(number: int, index: int) -> list[str]:
        example = dataset.examples[index]
        values = [mean[number, shown[number]], spread[number, shown[number]]]
        values += [] if binary else list(mean[number])
        # Seventeen digits tell any two float64 apart, so that no rank is lost.
        return [example.id, example.label, *(f"{value:.17g}" for value in values)]

    write_table(path, header, (row(*pair) for pair in enumerate(predictions.indices)))


def read_metrics(directory: pathlib.Path) -> dict[str, Any] | None:
    """Returns the metrics of an evaluation; None where there is none.

    Raises:
      InputError: they are damaged.
    """
    path = directory / METRICS
    return read_json(path) if path.is_file() else None


def read_evaluation(directory: pathlib.Path) -> KeptEvaluation | None:
    """Reads what `write_evaluation` wrote; returns None where there is nothing.

    Raises:
      InputError: a file is missing, damaged or another evaluation's.
    """
    metrics = read_metrics(directory)
    if metrics is None:
        return None
    try:
        rows = read_table(directory / PREDICTIONS, ("id", "label"))
        order = sorted(range(len(rows)), key=lambda number: rows[number]["id"])
        names = [rows[number]["id"] for number in order]
        groups = {
            row["id"]: row["group"] for row in read_table(directory / IMAGES, ("id", "group"))
        }
        classes = metrics["class_names"]
        labels = [classes.index(rows[number]["label"]) for number in order]
        grouped = tuple(groups[name] for name in names)
        for name in COMPARED:
            metrics[name]
    except InputError:
        raise
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        raise InputError(
            f"{directory} holds files that do not fit together ({error!r}); run eval.py again"
        ) from error
    draws = _read_draws(directory / LOGITS, len(rows), len(classes))[order]
    return KeptEvaluation(metrics, tuple(names), grouped, np.array(labels), draws)


def _read_draws(path: pathlib.Path, images: int, classes: int) -> np.ndarray:
    """Float64 [N, K, classes], in the order of predictions.csv."""
    if not path.is_file():
        raise InputError(f"{path} is missing; run eval.py again")
    try:
        _check_claim(path)
        with path.open("rb") as opened, np.load(opened) as file:
            logits = file["logits"]
    # Objects, which would be unpickled, are a ValueError; what is encrypted is a RuntimeError.
    except (
        OSError,
        ValueError,
        KeyError,
        EOFError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise InputError(f"{path} is damaged ({error}); run eval.py again") from error
    outputs = 1 if classes == 2 else classes
    if logits.ndim != 3 or (logits.shape[0], logits.shape[2]) != (images, outputs):
        raise InputError(f"{path} does not fit {PREDICTIONS} beside it; run eval.py again")
    if not np.isfinite(logits).all():
        raise InputError(f"{path} holds logits that are NaN or infinite; run eval.py again")
    return class_probabilities(logits)


def _check_claim(path: pathlib.Path) -> None:
    """Refuses an array of more bytes than can be in the file, before memory is asked for."""
    with zipfile.ZipFile(path) as archive, archive.open("logits.npy") as member:
        npy.read_magic(member)
        shape, _, kind = npy.read_array_header_1_0(member)
    if not can_hold(path, math.prod(shape) * kind.itemsize, deflated=True):
        raise ValueError("its array is said to be larger than the file")
