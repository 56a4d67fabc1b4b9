"""Sizes of effects, and p-values of several of them."""

from collections.abc import Sequence

import numpy as np
from scipy import stats


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
