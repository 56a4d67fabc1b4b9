"""Figures of merit of predicted probabilities, by scikit-learn."""

import numpy as np
from sklearn import metrics


def class_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Returns [..., classes] from [..., outputs]: one output is the second of two classes."""
    if probabilities.shape[-1] > 1:
        return probabilities
    return np.concatenate([1 - probabilities, probabilities], axis=-1)


def roc_auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the area under the ROC curve; of several classes the mean over one against the rest.

    Args:
      labels: int [N].
      probabilities: [N, outputs].

    Returns:
      In [0, 1], or NaN where a class has no image.
    """
    scores = class_probabilities(probabilities)
    classes = np.arange(scores.shape[1])
    if len(np.unique(labels)) < len(classes):
        return float("nan")
    if len(classes) == 2:
        return float(metrics.roc_auc_score(labels, scores[:, 1]))
    one_hot = labels[:, None] == classes
    return float(metrics.roc_auc_score(one_hot, scores, average="macro"))


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the mean cross-entropy in nats."""
    scores = class_probabilities(probabilities.astype(np.float64))
    # In float32 the softmax sums to one but for rounding, which scikit-learn would remark upon.
    scores /= scores.sum(axis=1, keepdims=True)
    return float(metrics.log_loss(labels, scores, labels=np.arange(scores.shape[1])))


def summarize(labels: np.ndarray, samples: np.ndarray) -> dict[str, float]:
    """Returns the figures of merit of the mean over samples.

    Args:
      labels: int [N].
      samples: [N, K, outputs] probabilities.
    """
    mean = samples.mean(axis=1)
    scores = class_probabilities(mean.astype(np.float64))
    one_hot = np.eye(scores.shape[1])[labels]
    summary = {
        "images": len(labels),
        "samples": samples.shape[1],
        "roc_auc": roc_auc(labels, mean),
        "roc_auc_of_one_sample": float(
            np.mean([roc_auc(labels, sample) for sample in samples.swapaxes(0, 1)])
        ),
        "log_loss": log_loss(labels, mean),
        "brier_score": float(((scores - one_hot) ** 2).sum(axis=1).mean() / 2),
        "balanced_accuracy": _balanced_accuracy(labels, scores),
    }
    if scores.shape[1] == 2:
        positives = bool(labels.any())
        summary["average_precision"] = (
            float(metrics.average_precision_score(labels, scores[:, 1]))
            if positives
            else float("nan")
        )
    return summary


def _balanced_accuracy(labels: np.ndarray, scores: np.ndarray) -> float:
    """The mean over classes of the share recognised, by the most probable class."""
    recalls = metrics.recall_score(
        labels, scores.argmax(axis=1), labels=np.unique(labels), average="macro"
    )
    return float(recalls)
