"""Comparing models: means over seeds, and paired differences with their uncertainty.

Two kinds of chance are told apart. Over images: the trained networks as they are, judged on other
images like these; DeLong's test, on the mean over seeds, by groups. Over seeds: trained anew,
judged on these same images; Welch's test.
"""

import collections
import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from stochconv_jax.errors import InputError
from stochconv_jax.evaluation import estimate
from stochconv_jax.evaluation.deferral import decide
from stochconv_jax.evaluation.draw_curve import auc_by_draws
from stochconv_jax.evaluation.estimate import Estimate
from stochconv_jax.evaluation.metrics import are_ordered
from stochconv_jax.evidence.effects import hedges_g, holm
from stochconv_jax.evidence.pooling import by_seed, common_groups, pool
from stochconv_jax.evidence.runs import Judged, RunRecord

BEST_EPOCH = "best_epoch_auc"

Metric = Callable[[np.ndarray, np.ndarray, np.ndarray], Estimate]


@dataclasses.dataclass(frozen=True)
class Model:
    """Runs of one model.

    Attributes:
      name: of the model.
      runs: over seeds and folds.
      metrics: by name, one estimate per seed, the folds of which are pooled.
      by_draws: the ROC AUC by number of draws averaged, mean over seeds; empty without draws.
    """

    name: str
    runs: list[RunRecord]
    metrics: Mapping[str, list[Estimate]]
    by_draws: Mapping[int, Estimate]

    def over_seeds(self, metric: str) -> np.ndarray:
        """Returns [seeds] of a metric, or of each run's best validation AUC over epochs."""
        if metric == BEST_EPOCH:
            return self.of_curves(lambda curve: curve.max())
        return np.array([found.value for found in self.metrics[metric]])

    def of_curves(self, compute: Callable[[np.ndarray], float]) -> np.ndarray:
        """Returns [seeds] of what is computed from validation AUCs, the mean over folds."""
        return np.array(
            [
                np.mean([compute(run.curve["val_auc"]) for run in own])
                for own in by_seed(self.runs).values()
            ]
        )


def compare_runs(runs: Sequence[RunRecord], reference: str = "", draws: int = 0) -> dict[str, Any]:
    """Returns the comparison: `models`, and their `differences` from the reference model.

    Args:
      runs: of two models or more, all evaluated on the same images or none evaluated.
      reference: name of the model to compare the others with; the first where "".
      draws: of windows by which the runs were read; 0 for all.

    Raises:
      InputError: the runs do not allow a comparison, or there is no such model.
    """
    by_model = collections.defaultdict(list)
    for run in runs:
        by_model[run.model].append(run)
    reference = reference or next(iter(by_model))
    if reference not in by_model:
        raise InputError(f"--reference {reference!r} is not a model; use one of {_list(by_model)}")
    groups = common_groups(runs)
    models = [_make_model(name, own, groups) for name, own in by_model.items()]
    base = next(model for model in models if model.name == reference)
    metrics = list(base.metrics) or [BEST_EPOCH]
    return {
        "reference": reference,
        "draws": draws,
        "images": len(groups),
        "judged": _judged_on(runs[0]),
        "groups": len(np.unique(groups)),
        "models": {model.name: _describe(model, groups) for model in models},
        "differences": {
            metric: _differences(
                [model for model in models if model is not base], base, metric, groups
            )
            for metric in metrics
        },
    }


def _judged_on(run: RunRecord) -> dict[str, str] | None:
    return {"split": run.judged.split, "checkpoint": run.judged.checkpoint} if run.judged else None


def _make_model(name: str, runs: list[RunRecord], groups: np.ndarray) -> Model:
    if not runs[0].judged:
        return Model(name, runs, {}, {})
    seeds = list(by_seed(runs).values())
    judged = [pool(own) for own in seeds]
    metrics = {
        metric: [compute(part.labels, part.scores, groups) for part in judged]
        for metric, compute in _metrics(judged[0].classes).items()
    }
    if len(seeds[0]) > 1:
        metrics["roc_auc_within_folds"] = [
            _within_folds(own, part, groups) for own, part in zip(seeds, judged, strict=True)
        ]
    if judged[0].draws.shape[1] == 1:
        return Model(name, runs, metrics, {})
    areas = [auc_by_draws(part.labels, part.draws, groups) for part in judged]
    by_draws = {count: estimate.mean([area[count] for area in areas]) for count in areas[0]}
    return Model(name, runs, metrics, by_draws)


def _within_folds(runs: Sequence[RunRecord], pooled: Judged, groups: np.ndarray) -> Estimate:
    folds = [np.isin(pooled.ids, run.judged.ids if run.judged else ()) for run in runs]
    return estimate.roc_auc_within_folds(pooled.labels, pooled.scores, groups, folds)


def _metrics(classes: Sequence[str]) -> dict[str, Metric]:
    metrics: dict[str, Metric] = {
        "roc_auc": estimate.roc_auc,
        "balanced_accuracy": lambda labels, scores, groups: estimate.balanced_accuracy(
            labels, decide(scores), groups
        ),
    }
    if len(classes) > 2:
        metrics["accuracy"] = lambda labels, scores, groups: estimate.accuracy(
            labels, scores.argmax(axis=1), groups
        )
        if are_ordered(classes):
            metrics["quadratic_weighted_kappa"] = lambda labels, scores, groups: (
                estimate.quadratic_weighted_kappa(labels, scores.argmax(axis=1), groups)
            )
        for number, name in enumerate(classes):
            metrics[f"roc_auc_of_{name}"] = _auc_of(number)
    return metrics


def _auc_of(number: int) -> Metric:
    def auc(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> Estimate:
        return estimate.roc_auc_of_class(labels, scores, groups, number)

    return auc


def _describe(model: Model, groups: np.ndarray) -> dict[str, Any]:
    best = model.over_seeds(BEST_EPOCH)
    row: dict[str, Any] = {
        "runs": len(model.runs),
        BEST_EPOCH: _spread(best),
        "final_epoch_auc": _spread(model.of_curves(lambda curve: curve[-1])),
        "images_per_second": float(np.median([run.speed for run in model.runs])),
        **model.runs[0].cost,
    }
    for metric, found in model.metrics.items():
        row[metric] = _spread(model.over_seeds(metric))
        row[metric]["interval_over_images"] = estimate.mean(found).interval(groups)
    for count, area in model.by_draws.items():
        gain = area - model.by_draws[1]
        row.setdefault("by_draws", []).append(
            {
                "draws": count,
                "gigaflops": _gigaflops(model, count),
                "interval_over_images": area.interval(groups),
                "roc_auc": area.value,
                "gain": gain.value,
                "gain_interval_over_images": gain.interval(groups),
            }
        )
    return row


def _gigaflops(model: Model, draws: int) -> float | None:
    """Operations of predicting an image with so many draws; None for runs that do not know."""
    cost = model.runs[0].cost
    if "gigaflops_per_further_draw" not in cost:
        return None
    return cost["gigaflops"] + (draws - 1) * cost["gigaflops_per_further_draw"]


def _spread(values: np.ndarray) -> dict[str, Any]:
    return {
        "values": values.tolist(),
        "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)) if len(values) > 1 else float("nan"),
        "best": float(values.max()),
    }


def _differences(
    models: Sequence[Model], reference: Model, metric: str, groups: np.ndarray
) -> list[dict[str, Any]]:
    rows = [_difference(model, reference, metric, groups) for model in models]
    for kind in ("images", "seeds"):
        known = [row for row in rows if np.isfinite(row.get(f"p_over_{kind}", np.nan))]
        for row, p in zip(known, holm([row[f"p_over_{kind}"] for row in known]), strict=True):
            row[f"p_over_{kind}_holm"] = p
    return rows


def _difference(model: Model, reference: Model, metric: str, groups: np.ndarray) -> dict[str, Any]:
    values, others = model.over_seeds(metric), reference.over_seeds(metric)
    row: dict[str, Any] = {"model": model.name, "difference": float(values.mean() - others.mean())}
    if metric != BEST_EPOCH:
        found = estimate.mean(model.metrics[metric]) - estimate.mean(reference.metrics[metric])
        row["interval_over_images"] = found.interval(groups)
        row["p_over_images"] = found.p_value(groups)
    varies = max(np.ptp(values), np.ptp(others)) > 1e-9  # more than by rounding
    if min(len(values), len(others)) > 1 and varies:
        with warnings.catch_warnings():
            # Seeds that all agree, such as on an area of 1, are nothing to warn of.
            warnings.simplefilter("ignore", RuntimeWarning)
            welch = stats.ttest_ind(values, others, equal_var=False)
        low, high = welch.confidence_interval()
        row["interval_over_seeds"] = (float(low), float(high))
        row["p_over_seeds"] = float(welch.pvalue)
        row["hedges_g"], row["hedges_g_interval"] = hedges_g(values, others)
    return row


def _list(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names))
