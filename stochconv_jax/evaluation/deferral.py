"""Which images to leave to a person: doubt, risk and coverage."""

import numpy as np
from scipy.special import logit

# A probability in float64 that is nearer to 1 rounds to it, where log-odds are infinite.
EDGE = float(np.finfo(np.float64).epsneg)
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)


def doubts(probabilities: np.ndarray, threshold: float = 0.5) -> dict[str, np.ndarray]:
    """Returns [N] each: how doubtful an image is, by the measures that its draws allow.

    `confidence`: how near the mean probability is to the decision: of two classes minus its
    distance from the threshold in log-odds, of several one less the most probable class's. (In
    probabilities, no negative could be as sure as a positive where the threshold is low.)
    `spread`: the standard deviation over draws of the probability that decides, where there are
    several.

    Args:
      probabilities: float64 [N, K, classes], of K draws.
      threshold: of the second of two classes.
    """
    mean = probabilities.mean(axis=1)
    if probabilities.shape[2] == 2:
        shown = np.ones(len(mean), int)
        odds = logit(np.clip([*mean[:, 1], threshold], EDGE, 1 - EDGE))
        confidence = -np.abs(odds[:-1] - odds[-1])
    else:
        shown = mean.argmax(axis=1)
        confidence = 1 - mean.max(axis=1)
    measures = {"confidence": confidence}
    if probabilities.shape[1] > 1:
        measures["spread"] = probabilities.std(axis=1)[np.arange(len(mean)), shown]
    return measures


def decide(scores: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """Returns int [N]: of two classes by the threshold, of several the most probable one."""
    if scores.shape[1] == 2:
        return (scores[:, 1] >= threshold).astype(int)
    return scores.argmax(axis=1)


def risk_coverage(doubt: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns coverage and risk, [N] each: the share kept, least doubtful first, and its errors.

    Images that are equally doubtful share their errors.
    """
    values, place, count = np.unique(doubt, return_inverse=True, return_counts=True)
    shared = (np.bincount(place, wrong, len(values)) / count)[place]
    kept = np.arange(1, len(doubt) + 1)
    return kept / len(doubt), np.cumsum(shared[np.argsort(doubt)]) / kept


def area_under_risk(doubt: np.ndarray, wrong: np.ndarray) -> float:
    """Returns the mean risk over all coverages; lower is better. Source: Geifman et al. 2019."""
    return float(risk_coverage(doubt, wrong)[1].mean())


def deferral_table(
    labels: np.ndarray, decisions: np.ndarray, measures: dict[str, np.ndarray], classes: int
) -> list[dict[str, object]]:
    """Returns, for each measure and share deferred, how good the decisions on the rest are.

    `sensitivity` and `specificity` are of class 1, of two `classes`; `accuracy` of all.
    """
    rows = []
    for name, doubt in measures.items():
        order = np.argsort(doubt, kind="stable")
        for share in SHARES:
            kept = order[: len(order) - round(share * len(order))]
            right = decisions[kept] == labels[kept]
            row: dict[str, object] = {
                "doubt": name,
                "deferred": share,
                "images_left": len(kept),
                "accuracy": float(right.mean()),
            }
            if classes == 2:
                for rate, number in (("sensitivity", 1), ("specificity", 0)):
                    of = labels[kept] == number
                    row[rate] = float(right[of].mean()) if of.any() else float("nan")
            rows.append(row)
    return rows
