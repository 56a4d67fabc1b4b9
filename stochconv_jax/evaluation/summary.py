"""All that an evaluation says of predictions, as it stands in metrics.json."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sklearn
from sklearn import metrics as sklearn_metrics

from stochconv_jax.data.dataset.image_dataset import Example
from stochconv_jax.evaluation import estimate
from stochconv_jax.evaluation.bootstrap import bootstrap_intervals
from stochconv_jax.evaluation.deferral import (
    area_under_risk,
    decide,
    deferral_table,
    doubts,
)
from stochconv_jax.evaluation.draw_curve import draw_curve
from stochconv_jax.evaluation.estimate import roc_auc_value
from stochconv_jax.evaluation.metrics import are_ordered, compute_metrics
from stochconv_jax.evaluation.subgroups import subgroup_table
from stochconv_jax.evaluation.thresholds import DECIDING, judge_thresholds
from stochconv_jax.inference.predict import Predictions


def summarize(
    predictions: Predictions,
    examples: Sequence[Example],
    classes: Sequence[str],
    thresholds: Mapping[str, float] | None = None,
    resamples: int = 1000,
) -> dict[str, Any]:
    """Returns metrics, their 95% intervals, and the tables of a report.

    Args:
      predictions: of the images to judge.
      examples: what is known of these, in their order.
      classes: names.
      thresholds: of two classes by the rule that chose each on other images; without any,
        decisions are made at 0.5.
      resamples: of the groups of images, behind the intervals.
    """
    labels = predictions.labels
    probabilities = predictions.probabilities
    scores = probabilities.mean(axis=1)
    groups = estimate.group_numbers([example.group for example in examples])
    thresholds = dict(thresholds or {})
    threshold = thresholds.get(DECIDING, 0.5)
    measures = doubts(probabilities, threshold)
    decisions = decide(scores, threshold)
    of_rows = functools.partial(_metrics, labels, scores, decisions, measures, are_ordered(classes))
    summary: dict[str, Any] = {
        "images": len(labels),
        "groups": len(np.unique(groups)),
        "draws": probabilities.shape[1],
        **of_rows(np.arange(len(labels))),
        "roc_auc_of_one_draw": float(
            np.mean([roc_auc_value(labels, draw) for draw in probabilities.swapaxes(0, 1)])
        ),
        "intervals": bootstrap_intervals(of_rows, groups, resamples),
        "deferral": deferral_table(labels, decisions, measures, len(classes)),
        "subgroups": subgroup_table(
            labels, scores, decisions, groups, [row.known for row in examples]
        ),
        "confusion": sklearn_metrics.confusion_matrix(
            labels, decisions, labels=np.arange(len(classes))
        ).tolist(),
    }
    if len(np.unique(labels)) == len(classes):
        area = estimate.roc_auc(labels, scores, groups)
        summary["roc_auc_delong_interval"] = area.interval(groups)
        summary["draw_curve"] = draw_curve(labels, probabilities, groups, resamples)
    if len(classes) == 2:
        summary["decision_threshold"] = threshold
        summary["thresholds"] = judge_thresholds(labels, scores[:, 1], thresholds)
    else:
        summary["classes"] = class_table(labels, scores, groups, classes)
    return summary


def _metrics(
    labels: np.ndarray,
    scores: np.ndarray,
    decisions: np.ndarray,
    measures: Mapping[str, np.ndarray],
    ordered: bool,
    rows: np.ndarray,
) -> dict[str, float]:
    """Every metric of some rows, such as those of a resample."""
    wrong = decisions[rows] != labels[rows]
    # Probabilities that were checked once need no checking in every resample.
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        found = compute_metrics(labels[rows], scores[rows], decisions[rows], ordered)
    return found | {
        f"area_under_risk_by_{name}": area_under_risk(doubt[rows], wrong)
        for name, doubt in measures.items()
    }


def class_table(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Returns each class against the rest: ROC AUC, sensitivity and specificity.

    The most probable class decides.
    """
    rows = []
    decisions = scores.argmax(axis=1)
    for number, name in enumerate(classes):
        of = labels == number
        row: dict[str, Any] = {"class": name, "images": int(of.sum())}
        row |= {"roc_auc": float("nan"), "roc_auc_interval": (float("nan"), float("nan"))}
        if 0 < of.sum() < len(of):
            area = estimate.roc_auc_of_class(labels, scores, groups, number)
            row |= {"roc_auc": area.value, "roc_auc_interval": area.interval(groups)}
            row["average_precision"] = float(
                sklearn_metrics.average_precision_score(of, scores[:, number])
            )
            row["sensitivity"] = float((decisions[of] == number).mean())
            row["specificity"] = float((decisions[~of] != number).mean())
        rows.append(row)
    return rows
