"""Decisions of two classes: thresholds chosen on one split and judged on another."""

import numpy as np
from scipy import stats
from sklearn import metrics

# The rule whose threshold decides.
DECIDING = "largest balanced accuracy"
RULES = ("95% specificity", "95% sensitivity", DECIDING)


def choose_thresholds(labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Returns thresholds on the positive class's probability, by the rule that chose each.

    Args:
      labels: int [N] of 0 and 1, both of them.
      scores: float64 [N] probabilities, of images that are not those to judge.
    """
    false, true, thresholds = metrics.roc_curve(labels, scores, drop_intermediate=False)
    # The first "threshold" is infinite: nobody is called positive.
    specific = np.flatnonzero(false <= 0.05 + 1e-9)[-1]
    sensitive = np.flatnonzero(true >= 0.95 - 1e-9)[0]
    places = (specific, sensitive, np.argmax(true - false))
    # Above every probability, which is what "infinite" means here, and yet a number of JSON.
    return {
        rule: float(min(thresholds[place], 2.0)) for rule, place in zip(RULES, places, strict=True)
    }


def judge_thresholds(
    labels: np.ndarray, scores: np.ndarray, thresholds: dict[str, float]
) -> list[dict[str, object]]:
    """Returns each threshold's sensitivity and specificity on other images, with Wilson intervals.

    A probability of the threshold or more is called positive.
    """
    rows = []
    for rule, threshold in thresholds.items():
        called = scores >= threshold
        row: dict[str, object] = {"rule": rule, "threshold": threshold}
        for name, of in (("sensitivity", labels == 1), ("specificity", labels == 0)):
            right = int((called[of] == (name == "sensitivity")).sum())
            found = stats.binomtest(right, int(of.sum())) if of.any() else None
            row[name] = right / of.sum() if found else float("nan")
            limits = found.proportion_ci(method="wilson") if found else (float("nan"),) * 2
            row[f"{name}_interval"] = (float(limits[0]), float(limits[1]))
        rows.append(row)
    return rows
