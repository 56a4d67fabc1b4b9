"""Reading what runs left: their curves, their predictions and their cost."""

import csv
import dataclasses
import hashlib
import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from stochconv_jax.errors import InputError

CURVES = ("epoch", "train_loss", "val_loss", "train_auc", "val_auc")
RUN_NAME = re.compile(r"seed(\d+)(_fold\d+)?")


@dataclasses.dataclass(frozen=True)
class Judged:
    """Predictions of images, in the order of their names.

    Attributes:
      ids: the images' names.
      groups: what of them belongs together; "" for alone.
      labels: int [N].
      scores: float64 [N, classes], the mean over draws of windows.
      samples: float64 [N, K, classes], of every draw.
      classes: names.
    """

    ids: tuple[str, ...]
    groups: tuple[str, ...]
    labels: np.ndarray
    scores: np.ndarray
    samples: np.ndarray
    classes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """One run.

    Attributes:
      path: its directory, or the file of its published curve.
      model: what it shares with runs of other seeds and folds.
      seed: which of these it is; runs on several folds share it.
      curve: [epochs] by name.
      speed: images a second in training, the median over epochs; NaN where not known.
      judged: its predictions; None where it has not been evaluated.
      cost: parameters, gigaflops and step_megabytes, where known.
      config: what it was made with, "eval" and whatever distinguishes seeds left out.
    """

    path: pathlib.Path
    model: str
    seed: str
    curve: dict[str, np.ndarray]
    speed: float = float("nan")
    judged: Judged | None = None
    cost: dict[str, float] = dataclasses.field(default_factory=dict)
    config: dict[str, Any] = dataclasses.field(default_factory=dict)


def read_runs(paths: Sequence[pathlib.Path]) -> list[RunRecord]:
    """Reads the runs in each directory or up to two below it, and published curves beneath it.

    Published curves are files *_per_epoch.csv whose columns are index, epoch, training loss,
    validation loss, training AUC and validation AUC; identical copies count once.

    Raises:
      InputError: a directory has no run, a run no epoch, or a file cannot be used.
    """
    runs: list[RunRecord] = []
    for path in paths:
        found = [path] if (path / "config.json").is_file() else []
        for depth in ("*/config.json", "*/*/config.json"):
            found += [] if (path / "config.json").is_file() else map(_parent, path.glob(depth))
        own = [_read_run(directory) for directory in sorted(found)]
        own += _read_published(path)
        if not own:
            raise InputError(f"{path} holds no run; name directories that train.py or study left")
        runs += own
    _check_models(runs)
    return runs


def _parent(path: pathlib.Path) -> pathlib.Path:
    return path.parent


def _read_run(path: pathlib.Path) -> RunRecord:
    name = RUN_NAME.fullmatch(path.name)
    config = _read_json(path / "config.json")
    try:
        rows = _read_rows(path / "metrics.csv")
    except FileNotFoundError as error:
        raise InputError(f"{path} has no epoch behind it; train it, or leave it out") from error
    curve = {column: np.array([float(row[column]) for row in rows]) for column in CURVES}
    speed = float(np.median([float(row["images_per_second"]) for row in rows]))
    seed = config.pop("seed")
    config["data"].pop("fold")
    config.pop("eval")
    return RunRecord(
        path,
        path.parent.name if name else path.name,
        f"seed {seed}",
        curve,
        speed,
        _read_judged(path),
        _read_json(path / "cost.json") if (path / "cost.json").is_file() else {},
        config,
    )


def _read_published(path: pathlib.Path) -> list[RunRecord]:
    runs, seen = [], set()
    for file in sorted(path.rglob("*_per_epoch.csv")):
        content = file.read_bytes()
        digest = (file.parent, hashlib.sha256(content).digest())
        if digest in seen:
            continue
        seen.add(digest)
        # The header lacks the index column, and the first row is zeros.
        values = np.genfromtxt(content.decode().splitlines(), delimiter=",", skip_header=1)[1:, 1:]
        if values.ndim != 2 or values.shape[1] != len(CURVES) or not np.isfinite(values).all():
            raise InputError(f"{file} is not a published curve of {len(CURVES) + 1} columns")
        model = " ".join(file.parent.relative_to(path).parts) or path.name
        curve = dict(zip(CURVES, values.T, strict=True))
        runs.append(RunRecord(file, model, file.stem, curve))
    return runs


def _read_judged(path: pathlib.Path) -> Judged | None:
    directory = path / "eval"
    if not (directory / "metrics.json").is_file():
        return None
    classes = tuple(_read_json(directory / "metrics.json")["class_names"])
    rows = _read_rows(directory / "predictions.csv")
    order = sorted(range(len(rows)), key=lambda number: rows[number]["id"])
    rows = [rows[number] for number in order]
    columns = ["probability"] if len(classes) == 2 else [f"probability_{name}" for name in classes]
    scores = np.array([[float(row[column]) for column in columns] for row in rows])
    if not np.isfinite(scores).all():
        raise InputError(
            f"{directory / 'predictions.csv'} holds probabilities that are no numbers; run eval.py "
            "again"
        )
    labels = np.array([classes.index(row["label"]) for row in rows])
    groups = {row["id"]: row["group"] for row in _read_rows(directory / "images.csv")}
    with np.load(directory / "samples.npz") as file:
        samples = _classes_last(file["samples"].astype(np.float64))[order]
    return Judged(
        tuple(row["id"] for row in rows),
        tuple(groups[row["id"]] for row in rows),
        labels,
        _classes_last(scores),
        samples,
        classes,
    )


def _classes_last(probabilities: np.ndarray) -> np.ndarray:
    if probabilities.shape[-1] > 1:
        return probabilities
    return np.concatenate([1 - probabilities, probabilities], axis=-1)


def _check_models(runs: Sequence[RunRecord]) -> None:
    """Runs that are called one model must differ in seed and fold alone."""
    first: dict[str, RunRecord] = {}
    for run in runs:
        other = first.setdefault(run.model, run)
        if other.config != run.config:
            raise InputError(
                f"{other.path} and {run.path} are both called {run.model!r} and differ in more "
                "than their seed; rename one of the directories"
            )


def _read_rows(path: pathlib.Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _read_json(path: pathlib.Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is damaged ({error}); make it again") from error
