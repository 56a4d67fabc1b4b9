"""Metrics of predicted probabilities."""

import itertools
from collections.abc import Sequence

import numpy as np
from sklearn import metrics

from stochconv_jax.evaluation.estimate import roc_auc_value

BINS = 15
# That the loss stays finite: some 707 nats are the most that an image can cost.
LEAST = 1e-307


def are_ordered(classes: Sequence[str]) -> bool:
    """Returns whether several classes are grades: consecutive whole numbers."""
    numbers = [int(name) for name in classes if name.lstrip("-").isdigit()]
    steps = {after - before for before, after in itertools.pairwise(numbers)}
    return len(numbers) == len(classes) > 2 and steps == {1}


def compute_metrics(
    labels: np.ndarray, scores: np.ndarray, decisions: np.ndarray, ordered: bool = False
) -> dict[str, float]:
    """Returns metrics by name; NaN where a class that one needs has no image.

    Args:
      labels: int [N].
      scores: float64 [N, classes], probabilities.
      decisions: int [N].
      ordered: whether several classes are grades.
    """
    found = {
        "roc_auc": roc_auc_value(labels, scores),
        "log_loss": log_loss(labels, scores),
        "brier_score": brier_score(labels, scores),
        "calibration_error": calibration_error(labels, scores),
        "balanced_accuracy": _balanced_accuracy(labels, decisions, scores.shape[1]),
    }
    if scores.shape[1] > 2:
        found["accuracy"] = float((decisions == labels).mean())
    if ordered:
        found["quadratic_weighted_kappa"] = float(
            metrics.cohen_kappa_score(
                labels,
                decisions,
                labels=np.arange(scores.shape[1]),
                weights="quadratic",
            )
        )
    if scores.shape[1] == 2:
        found |= _of_two_classes(labels, scores[:, 1])
    return found


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the mean cross-entropy in nats.

    Args:
      labels: int [N].
      probabilities: float64 [N, classes], of which one below 1e-307 counts as that.
    """
    of_truth = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(of_truth, LEAST)).mean())


def brier_score(labels: np.ndarray, scores: np.ndarray) -> float:
    """Returns half the mean squared distance to the true class's unit vector, in [0, 1]."""
    one_hot = np.eye(scores.shape[1])[labels]
    return float(((scores - one_hot) ** 2).sum(axis=1).mean() / 2)


def calibration_bins(
    labels: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns [BINS] each of images, mean probability and share of hits, in bins of equal width.

    The probability is the positive class's of two, the most probable class's of several.
    """
    if scores.shape[1] == 2:
        probability, hit = scores[:, 1], labels == 1
    else:
        probability, hit = scores.max(axis=1), scores.argmax(axis=1) == labels
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    images = np.bincount(bins, minlength=BINS)
    filled = np.maximum(images, 1)
    return (
        images,
        np.bincount(bins, probability, BINS) / filled,
        np.bincount(bins, hit, BINS) / filled,
    )


def calibration_error(labels: np.ndarray, scores: np.ndarray) -> float:
    """Returns the expected calibration error: the mean gap of the bins, weighted by their images.

    Source: Naeini, Cooper & Hauskrecht 2015; Guo et al. 2017.
    """
    images, probability, hits = calibration_bins(labels, scores)
    return float((images * np.abs(probability - hits)).sum() / len(labels))


def partial_auc(labels: np.ndarray, scores: np.ndarray, sensitivity: float = 0.8) -> float:
    """Returns the area between the ROC curve and the line at `sensitivity`, of two classes.

    In [0, 1 - sensitivity]; guessing has (1 - sensitivity)^2 / 2. Source: ISIC 2024's challenge.
    """
    # Both classes change places, so that what is wanted lies at the left, as scikit-learn takes it.
    flipped_false = 1 - sensitivity
    standardised = metrics.roc_auc_score(1 - labels, -scores, max_fpr=flipped_false)
    guessing = flipped_false**2 / 2
    # scikit-learn answers with McClish's form, which puts guessing at 0.5 and perfection at 1.
    return float(guessing + (flipped_false - guessing) * (2 * standardised - 1))


def sensitivity_at(labels: np.ndarray, scores: np.ndarray, specificity: float = 0.95) -> float:
    """Returns the largest sensitivity of a threshold with at least this specificity."""
    false, true, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
    return float(true[false <= 1 - specificity + 1e-9].max())


def _of_two_classes(labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    names = (
        "average_precision",
        "partial_auc_above_80_sensitivity",
        "sensitivity_at_95_specificity",
        "specificity_at_95_sensitivity",
    )
    if len(np.unique(labels)) < 2:
        return dict.fromkeys(names, float("nan"))
    values = (
        float(metrics.average_precision_score(labels, scores)),
        partial_auc(labels, scores),
        sensitivity_at(labels, scores),
        sensitivity_at(1 - labels, -scores),
    )
    return dict(zip(names, values, strict=True))


def _balanced_accuracy(labels: np.ndarray, decisions: np.ndarray, classes: int) -> float:
    """The mean over classes of the share decided right."""
    if len(np.unique(labels)) < classes:
        return float("nan")
    return float(metrics.recall_score(labels, decisions, average="macro", zero_division=0))
