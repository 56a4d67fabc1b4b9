"""Intervals by resampling groups of images."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from tqdm import tqdm


def resamples(groups: np.ndarray, count: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Yields the rows of `count` bootstrap resamples; a group's images come together or not at all.

    Args:
      groups: int [N], from 0 on.
      count: how many resamples.
      seed: of the random choice.
    """
    order = np.argsort(groups, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(groups))[:-1])
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield np.concatenate(
            [members[group] for group in rng.integers(0, len(members), len(members))]
        )


def bootstrap_intervals(
    metrics: Callable[[np.ndarray], Mapping[str, float]],
    groups: np.ndarray,
    count: int,
) -> dict[str, tuple[float, float]]:
    """Returns 95% percentile intervals of metrics that are computed from rows.

    Resamples in which a metric is NaN, because a class is missing, do not count for it. The
    interval of a calibration error lies too high, since resampling adds noise to every bin.
    """
    rows = tqdm(resamples(groups, count), "resampling", count, unit="resample", leave=False)
    found = [metrics(resample) for resample in rows]
    intervals = {}
    for name in found[0]:
        values = np.array([row[name] for row in found], np.float64)
        values = values[np.isfinite(values)]
        low, high = np.percentile(values, [2.5, 97.5]) if len(values) else (np.nan, np.nan)
        intervals[name] = (float(low), float(high))
    return intervals
