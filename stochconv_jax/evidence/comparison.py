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
from stochconv_jax.evaluation.estimate import Estimate
from stochconv_jax.evidence.runs import Judged, RunRecord

BEST_EPOCH = "best_epoch_auc"

Figure = Callable[[np.ndarray, np.ndarray, np.ndarray], Estimate]


@dataclasses.dataclass(frozen=True)
class Model:
    """Runs of one model.

    Attributes:
      name: of the model.
      runs: over seeds and folds.
      figures: by name, one estimate a seed, the folds of which are pooled.
      gain: of the ROC AUC of the mean over draws over that of one draw, mean over seeds.
    """

    name: str
    runs: list[RunRecord]
    figures: Mapping[str, list[Estimate]]
    gain: Estimate | None

    def over_seeds(self, figure: str) -> np.ndarray:
        """Returns [seeds] of a figure, or of each run's best validation AUC over epochs."""
        if figure == BEST_EPOCH:
            return np.array([run.curve["val_auc"].max() for run in self.runs])
        return np.array([found.value for found in self.figures[figure]])


def compare_runs(runs: Sequence[RunRecord], reference: str = "") -> dict[str, Any]:
    """Returns the comparison: `models`, and their `differences` from the reference model.

    Args:
      runs: of two models or more, all evaluated on the same images or none evaluated.
      reference: name of the model to compare the others with; the first where "".

    Raises:
      InputError: the runs do not allow a comparison, or there is no such model.
    """
    by_model = collections.defaultdict(list)
    for run in runs:
        by_model[run.model].append(run)
    reference = reference or next(iter(by_model))
    if reference not in by_model:
        raise InputError(f"--reference {reference!r} is not a model; use one of {_list(by_model)}")
    groups = _check_images(runs)
    models = [_make_model(name, own, groups) for name, own in by_model.items()]
    base = next(model for model in models if model.name == reference)
    figures = list(base.figures) or [BEST_EPOCH]
    return {
        "reference": reference,
        "images": len(groups),
        "groups": len(np.unique(groups)),
        "models": {model.name: _describe(model, groups) for model in models},
        "differences": {
            figure: _differences(
                [model for model in models if model is not base], base, figure, groups
            )
            for figure in figures
        },
    }


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns p-values corrected for their number, in their order. Source: Holm 1979.

    The k-th smallest of m is multiplied by m - k + 1, and none is less than a smaller one's.
    """
    values = np.array(p_values, np.float64)
    order = np.argsort(values)
    corrected = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    result = np.empty_like(values)
    result[order] = np.minimum(corrected, 1)
    return result.tolist()


def hedges_g(values: np.ndarray, reference: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Returns the difference of means in pooled standard deviations, with its 95% interval.

    Corrected for small samples; NaN for fewer than two values each. Source: Hedges & Olkin 1985.
    """
    m, n = len(values), len(reference)
    if min(m, n) < 2:
        return float("nan"), (float("nan"), float("nan"))
    freedom = m + n - 2
    pooled = ((m - 1) * values.var(ddof=1) + (n - 1) * reference.var(ddof=1)) / freedom
    with np.errstate(divide="ignore", invalid="ignore"):
        g = (1 - 3 / (4 * freedom - 1)) * (values.mean() - reference.mean()) / np.sqrt(pooled)
    margin = stats.norm.ppf(0.975) * np.sqrt((m + n) / (m * n) + g**2 / (2 * (m + n)))
    return float(g), (float(g - margin), float(g + margin))


def _check_images(runs: Sequence[RunRecord]) -> np.ndarray:
    """Returns the groups of the images that all models were judged on; empty where none was."""
    judged = {run.path for run in runs if run.judged}
    if not judged:
        return np.zeros(0, int)
    without = [run.path for run in runs if run.path not in judged]
    if without:
        raise InputError(f"{without[0]} has not been evaluated; run eval.py on it, or leave it out")
    pooled: dict[tuple[str, str], list[RunRecord]] = {}
    for run in runs:
        pooled.setdefault((run.model, run.seed), []).append(run)
    all_judged = {key: pool(own) for key, own in pooled.items()}
    (model, seed), first = next(iter(all_judged.items()))
    for (other, other_seed), found in all_judged.items():
        same = (found.ids, found.classes) == (first.ids, first.classes)
        if not same or (found.labels != first.labels).any():
            raise InputError(
                f"{model} ({seed}) and {other} ({other_seed}) were evaluated on other images "
                f"({len(first.ids)} and {len(found.ids)}) or labels; compare runs on one split of "
                "one data set"
            )
    return estimate.group_numbers(first.groups)


def pool(runs: Sequence[RunRecord]) -> Judged:
    """Returns the predictions of one seed's folds together.

    Raises:
      InputError: an image was judged twice, or a class has none.
    """
    parts = [run.judged for run in runs if run.judged]
    ids = [name for part in parts for name in part.ids]
    order = sorted(range(len(ids)), key=ids.__getitem__)
    if len(set(ids)) < len(ids):
        names = ", ".join(str(run.path) for run in runs)
        raise InputError(f"{names} judge the same images with the same seed; leave all but one out")
    labels = np.concatenate([part.labels for part in parts])[order]
    classes = parts[0].classes
    for number, name in enumerate(classes):
        if number not in labels:
            raise InputError(
                f"{runs[0].path} was evaluated on no image of the class {name!r}, without which "
                "there is no ROC curve; evaluate a split with every class"
            )
    groups = [name for part in parts for name in part.groups]
    return Judged(
        tuple(ids[number] for number in order),
        tuple(groups[number] for number in order),
        labels,
        np.concatenate([part.scores for part in parts])[order],
        np.concatenate([part.samples for part in parts])[order],
        classes,
    )


def _make_model(name: str, runs: list[RunRecord], groups: np.ndarray) -> Model:
    if not runs[0].judged:
        return Model(name, runs, {}, None)
    by_seed = collections.defaultdict(list)
    for run in runs:
        by_seed[run.seed].append(run)
    judged = [pool(own) for own in by_seed.values()]
    figures = {
        figure: [compute(part.labels, part.scores, groups) for part in judged]
        for figure, compute in _figures(judged[0].classes).items()
    }
    gain = None
    if judged[0].samples.shape[1] > 1:
        one_draw = [
            estimate.mean(
                [
                    estimate.roc_auc(part.labels, draw, groups)
                    for draw in part.samples.swapaxes(0, 1)
                ]
            )
            for part in judged
        ]
        gain = estimate.mean(figures["roc_auc"]) - estimate.mean(one_draw)
    return Model(name, runs, figures, gain)


def _figures(classes: Sequence[str]) -> dict[str, Figure]:
    figures: dict[str, Figure] = {
        "roc_auc": estimate.roc_auc,
        "balanced_accuracy": estimate.balanced_accuracy,
    }
    if len(classes) > 2:
        for number, name in enumerate(classes):
            figures[f"roc_auc_of_{name}"] = _auc_of(number)
    return figures


def _auc_of(number: int) -> Figure:
    def auc(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> Estimate:
        against = np.stack([1 - scores[:, number], scores[:, number]], axis=1)
        return estimate.roc_auc((labels == number).astype(int), against, groups)

    return auc


def _describe(model: Model, groups: np.ndarray) -> dict[str, Any]:
    best = model.over_seeds(BEST_EPOCH)
    row: dict[str, Any] = {
        "runs": len(model.runs),
        BEST_EPOCH: _spread(best),
        "final_epoch_auc": _spread(np.array([run.curve["val_auc"][-1] for run in model.runs])),
        "images_per_second": float(np.median([run.speed for run in model.runs])),
        **model.runs[0].cost,
    }
    for figure, found in model.figures.items():
        row[figure] = _spread(model.over_seeds(figure))
        row[figure]["interval_over_images"] = estimate.mean(found).interval(groups)
    if model.gain:
        row["gain_of_draws"] = {
            "value": model.gain.value,
            "interval_over_images": model.gain.interval(groups),
        }
    return row


def _spread(values: np.ndarray) -> dict[str, Any]:
    return {
        "values": values.tolist(),
        "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)) if len(values) > 1 else float("nan"),
        "best": float(values.max()),
    }


def _differences(
    models: Sequence[Model], reference: Model, figure: str, groups: np.ndarray
) -> list[dict[str, Any]]:
    rows = [_difference(model, reference, figure, groups) for model in models]
    for kind in ("images", "seeds"):
        known = [row for row in rows if np.isfinite(row.get(f"p_over_{kind}", np.nan))]
        for row, p in zip(known, holm([row[f"p_over_{kind}"] for row in known]), strict=True):
            row[f"p_over_{kind}_holm"] = p
    return rows


def _difference(model: Model, reference: Model, figure: str, groups: np.ndarray) -> dict[str, Any]:
    values, others = model.over_seeds(figure), reference.over_seeds(figure)
    row: dict[str, Any] = {"model": model.name, "difference": float(values.mean() - others.mean())}
    if figure != BEST_EPOCH:
        found = estimate.mean(model.figures[figure]) - estimate.mean(reference.figures[figure])
        row["interval_over_images"] = found.interval(groups)
        row["p_over_images"] = found.p_value(groups)
    if min(len(values), len(others)) > 1 and np.ptp([*values, *others]) > 0:
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
