"""What averaging draws of windows buys."""

from collections.abc import Callable

import numpy as np

from stochconv_jax.evaluation import estimate
from stochconv_jax.evaluation.bootstrap import bootstrap_intervals
from stochconv_jax.evaluation.estimate import Estimate
from stochconv_jax.evaluation.metrics import brier_score, calibration_error


def draw_counts(draws: int) -> list[int]:
    """Returns 1, 2, 4, ... and the number of draws itself."""
    powers = [2**power for power in range(draws.bit_length()) if 2**power < draws]
    return [*powers, draws]


def auc_by_draws(
    labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray
) -> dict[int, Estimate]:
    """Returns the ROC AUC by number of draws averaged.

    That of K draws is the mean over as many blocks of K as there are, so that no one draw
    decides.

    Args:
      labels: int [N], every class among them.
      probabilities: float64 [N, K, classes], of K draws.
      groups: int [N].
    """
    return {
        count: estimate.mean(
            [estimate.roc_auc(labels, block, groups) for block in _blocks(probabilities, count)]
        )
        for count in draw_counts(probabilities.shape[1])
    }


def draw_curve(
    labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray, resamples: int
) -> list[dict[str, object]]:
    """Returns ROC AUC, Brier score and calibration error, with intervals, by draws averaged.

    Each is the mean over blocks as in `auc_by_draws`. `gain` is the ROC AUC's over one draw, on
    the same images.

    Args:
      labels: int [N], every class among them.
      probabilities: float64 [N, K, classes], of K draws.
      groups: int [N].
      resamples: of the groups, behind the intervals of the last two.
    """
    rows: list[dict[str, object]] = []
    areas = auc_by_draws(labels, probabilities, groups)
    for count, area in areas.items():
        blocks = _blocks(probabilities, count)
        gain = area - areas[1]

        def of_rows(rows: np.ndarray, blocks: list[np.ndarray] = blocks) -> dict[str, float]:
            return {
                "brier_score": _mean_of(brier_score, labels, rows, blocks),
                "calibration_error": _mean_of(calibration_error, labels, rows, blocks),
            }

        intervals = bootstrap_intervals(of_rows, groups, resamples)
        row: dict[str, object] = {"draws": count, "roc_auc": area.value}
        row["roc_auc_interval"] = area.interval(groups)
        row |= {"gain": gain.value, "gain_interval": gain.interval(groups)}
        for name, value in of_rows(np.arange(len(labels))).items():
            row |= {name: value, f"{name}_interval": intervals[name]}
        rows.append(row)
    return rows


def _blocks(probabilities: np.ndarray, count: int) -> list[np.ndarray]:
    """The means of successive runs of `count` draws, [N, classes] each."""
    starts = range(0, probabilities.shape[1] - count + 1, count)
    return [probabilities[:, start : start + count].mean(axis=1) for start in starts]


def _mean_of(
    metric: Callable[[np.ndarray, np.ndarray], float],
    labels: np.ndarray,
    rows: np.ndarray,
    blocks: list[np.ndarray],
) -> float:
    return float(np.mean([metric(labels[rows], block[rows]) for block in blocks]))
