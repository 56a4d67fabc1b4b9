"""Intervals by resampling groups of images."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from tqdm import tqdm


def resamples(groups: np.ndarray, count: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Yields the rows of `count` bootstrap samples; the images of a group come together or not.

    Args:
      groups: int [N], from 0 on.
      count: how many samples.
      seed: of the draws.
    """
    order = np.argsort(groups, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(groups))[:-1])
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield np.concatenate(
            [members[group] for group in rng.integers(0, len(members), len(members))]
        )


def bootstrap_intervals(
    figures: Callable[[np.ndarray], Mapping[str, float]],
    groups: np.ndarray,
    count: int,
) -> dict[str, tuple[float, float]]:
    """Returns 95% percentile intervals of figures that are computed from rows.

    Samples in which a figure is no number, for want of a class, do not count for it. Those of a
    calibration error lie too high, since resampling adds noise of its own to every bin.
    """
    rows = tqdm(resamples(groups, count), "resampling", count, unit="sample", leave=False)
    drawn = [figures(sample) for sample in rows]
    intervals = {}
    for name in drawn[0]:
        values = np.array([sample[name] for sample in drawn], np.float64)
        values = values[np.isfinite(values)]
        low, high = np.percentile(values, [2.5, 97.5]) if len(values) else (np.nan, np.nan)
        intervals[name] = (float(low), float(high))
    return intervals
