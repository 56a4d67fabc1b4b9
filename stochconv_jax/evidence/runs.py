"""Reading what runs left: their curves, their predictions and their cost."""

import dataclasses
import hashlib
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.kept_evaluation import read_evaluation
from stochconv_jax.saved_config import read_config, read_json
from stochconv_jax.training.history import read_history

CURVES = ("epoch", "train_loss", "val_loss", "train_auc", "val_auc")
RUN_NAME = re.compile(r"seed(\d+)(_fold\d+)?")


@dataclasses.dataclass(frozen=True)
class Judged:
    """Predictions of images, in the order of their names.

    Attributes:
      ids: the images' names.
      groups: what of them belongs together; "" for alone.
      labels: int [N].
      scores: float64 [N, classes], the mean over draws.
      draws: float64 [N, K, classes], the probabilities of every draw of windows.
      classes: names.
      split: that the images are.
      checkpoint: "best" or "latest".
    """

    ids: tuple[str, ...]
    groups: tuple[str, ...]
    labels: np.ndarray
    scores: np.ndarray
    draws: np.ndarray
    classes: tuple[str, ...]
    split: str
    checkpoint: str


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """One run.

    Attributes:
      path: its directory, or the file of its published curve.
      model: what it shares with runs of other seeds and folds.
      seed: which of these it is; runs on several folds share it.
      curve: [epochs] by name.
      speed: images per second in training, the median over epochs; NaN where not known.
      judged: its predictions; None where it has not been evaluated.
      cost: what `network_cost` returns, where known.
      config: what it was made with, but for seed, fold, "eval" and what was measured.
      fold: that validated; 0 where there are none.
    """

    path: pathlib.Path
    model: str
    seed: str
    curve: dict[str, np.ndarray]
    speed: float = float("nan")
    judged: Judged | None = None
    cost: dict[str, float] = dataclasses.field(default_factory=dict)
    config: dict[str, Any] = dataclasses.field(default_factory=dict)
    fold: int = 0


def read_runs(paths: Sequence[pathlib.Path], draws: int = 0) -> tuple[list[RunRecord], list[str]]:
    """Reads the runs in each directory or up to two below it, and published curves beneath it.

    Published curves are files *_per_epoch.csv whose columns are index, epoch, training loss,
    validation loss, training AUC and validation AUC; identical copies count once.

    Args:
      paths: of runs, of models or of studies.
      draws: of windows by which to judge, the first of those that were kept; all of them where 0.

    Returns:
      The runs, and why some below the directories were left out, a sentence each: unfinished ones,
      where others are finished.

    Raises:
      InputError: a directory has no run, a run no epoch, or a file cannot be used.
    """
    runs: dict[pathlib.Path, RunRecord] = {}
    left_out: list[str] = []
    seen: set[tuple[pathlib.Path, bytes]] = set()
    for path in {path.resolve(): path for path in paths}.values():
        found = _find(path)
        published = _read_published(path, seen) if not (path / "config.json").is_file() else []
        if not found and not published:
            raise InputError(f"{path} holds no run; name directories that train.py or study left")
        runs |= {run.path.resolve(): run for run in published}
        for directory in found:
            if (directory / "metrics.csv").is_file():
                runs[directory.resolve()] = _read_run(directory, draws)
            elif directory == path:
                raise InputError(f"{path} has no epoch behind it; train it, or leave it out")
            else:
                left_out.append(f"{directory} has no epoch behind it; start its study again")
    kept = _evaluated(list(runs.values()), left_out)
    _check_models(kept)
    return kept, left_out


def _find(path: pathlib.Path) -> list[pathlib.Path]:
    """The directories of runs at a path, or else up to two below it."""
    if (path / "config.json").is_file():
        return [path]
    return sorted(
        file.parent for depth in ("*/config.json", "*/*/config.json") for file in path.glob(depth)
    )


def _evaluated(runs: list[RunRecord], left_out: list[str]) -> list[RunRecord]:
    """Those that were evaluated, on every fold, where any was; names the others in `left_out`."""
    if not any(run.judged for run in runs):
        return runs
    folds = {run.fold for run in runs}
    kept = []
    for run in runs:
        own = {other.fold for other in runs if _same_seed(run, other) and other.judged}
        if not run.judged:
            left_out.append(f"{run.path} has not been evaluated; run eval.py on it")
        elif own != folds:
            missing = ", ".join(str(fold) for fold in sorted(folds - own))
            left_out.append(f"{run.path}: {run.seed} of {run.model} lacks the folds {missing}")
        else:
            kept.append(run)
    lost = {run.model for run in runs} - {run.model for run in kept}
    if lost:
        some = next(reason for reason in left_out if any(name in reason for name in lost))
        raise InputError(f"no run of {', '.join(sorted(lost))} can be compared: {some}")
    return kept


def _same_seed(run: RunRecord, other: RunRecord) -> bool:
    return (run.model, run.seed) == (other.model, other.seed)


def _read_run(path: pathlib.Path, draws: int) -> RunRecord:
    config = read_config(path).to_dict()
    rows = read_history(path)
    if not rows:
        raise InputError(f"{path} has no epoch behind it; train it, or leave it out")
    try:
        curve = {column: np.array([row[column] for row in rows]) for column in CURVES}
        speed = float(np.median([row["images_per_second"] for row in rows]))
        seed, fold = config.pop("seed"), config["data"].pop("fold")
    except (KeyError, ValueError) as error:
        raise InputError(f"{path} is not what train.py leaves ({error!r}); leave it out") from error
    config.pop("eval", None)
    for field in ("pixel_mean", "pixel_deviation"):
        config["model"].pop(field)  # of the images that train, which are others in every fold
    return RunRecord(
        path,
        _model_name(path.resolve()),
        f"seed {seed}",
        curve,
        speed,
        _read_judged(path, len(rows), draws, "stochastic" in config["model"]["branches"]),
        read_json(path / "cost.json") if (path / "cost.json").is_file() else {},
        config,
        fold,
    )


def _model_name(path: pathlib.Path) -> str:
    return path.parent.name if RUN_NAME.fullmatch(path.name) else path.name


def _read_published(path: pathlib.Path, seen: set[tuple[pathlib.Path, bytes]]) -> list[RunRecord]:
    runs = []
    for file in sorted(path.rglob("*_per_epoch.csv")):
        content = file.read_bytes()
        key = (file.parent.resolve(), hashlib.sha256(content).digest())
        if key in seen:
            continue
        seen.add(key)
        try:
            # The header lacks the index column, and the first row is zeros.
            lines = content.decode().splitlines()
            values = np.genfromtxt(lines, delimiter=",", skip_header=1, ndmin=2)[1:, 1:]
        except (ValueError, IndexError):
            values = np.empty((0, 0))
        if values.shape[1] != len(CURVES) or not len(values) or not np.isfinite(values).all():
            raise InputError(f"{file} is not a published curve of {len(CURVES) + 1} columns")
        model = " ".join(file.parent.relative_to(path).parts) or path.resolve().name
        curve = dict(zip(CURVES, values.T, strict=True))
        runs.append(RunRecord(file, model, file.stem, curve))
    return runs


def _read_judged(path: pathlib.Path, epochs: int, draws: int, windows: bool) -> Judged | None:
    kept = read_evaluation(path / "eval")
    if kept is None:
        return None
    if kept.metrics["epochs"] != epochs:
        raise InputError(
            f"{path} was evaluated after {kept.metrics['epochs']} epochs and has {epochs} now; run "
            "eval.py again"
        )
    have = kept.draws.shape[1]
    # A network without windows has one draw, which is as good as many.
    if windows and draws > have:
        raise InputError(
            f"{path} was evaluated with {have} draws of windows and --draws is {draws}; ask for "
            "fewer, or run eval.py with more"
        )
    judged_by = kept.draws[:, : draws or have]
    return Judged(
        kept.ids,
        kept.groups,
        kept.labels,
        judged_by.mean(axis=1),
        judged_by,
        tuple(kept.metrics["class_names"]),
        kept.metrics["split"],
        kept.metrics["checkpoint"],
    )


def _check_models(runs: Sequence[RunRecord]) -> None:
    """Runs that are called one model must differ in seed and fold alone, and be judged alike."""
    first: dict[str, RunRecord] = {}
    for run in runs:
        other = first.setdefault(run.model, run)
        if not run.config and other.path.parent != run.path.parent:
            raise InputError(
                f"{other.path} and {run.path} are both called {run.model!r}; name a directory that "
                "holds both of theirs"
            )
        if other.config != run.config:
            raise InputError(
                f"{other.path} and {run.path} are both called {run.model!r} and differ in more "
                "than their seed; rename one of the directories"
            )
        judged = [each.judged for each in (other, run) if each.judged]
        if len({(each.split, each.checkpoint, each.draws.shape[1]) for each in judged}) > 1:
            raise InputError(
                f"{other.path} and {run.path} were evaluated on different splits or checkpoints or "
                "with different numbers of draws; run eval.py alike on both"
            )
