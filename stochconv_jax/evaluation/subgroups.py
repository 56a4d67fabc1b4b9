"""Metrics by what is known of the images."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from stochconv_jax.evaluation import estimate

# A metric of fewer images says next to nothing.
LEAST_IMAGES = 20
AGES = (40, 60)


def subgroup_table(
    labels: np.ndarray,
    scores: np.ndarray,
    decisions: np.ndarray,
    groups: np.ndarray,
    known: Sequence[Mapping[str, str]],
) -> list[dict[str, object]]:
    """Returns ROC AUC (DeLong's interval) and balanced accuracy by source, size, age, sex, site.

    A part with fewer than 20 images, or fewer than two of a class, has no metrics (NaN). Of several
    classes there is also the accuracy, whatever classes the part has.

    Args:
      labels: int [N].
      scores: [N, classes].
      decisions: int [N].
      groups: int [N].
      known: [N], the manifest's columns of each image.
    """
    rows: list[dict[str, object]] = []
    for field, values in _partitions(known).items():
        for value in sorted(set(values), key=_place):
            part = values == value
            own = np.unique(groups[part], return_inverse=True)[1]
            counts = np.bincount(labels[part], minlength=scores.shape[1])
            row: dict[str, object] = {
                "field": field,
                "value": str(value),
                "images": int(part.sum()),
                "of_each_class": counts.tolist(),
            }
            row |= {"roc_auc": float("nan"), "balanced_accuracy": float("nan")}
            row["roc_auc_interval"] = (float("nan"), float("nan"))
            if len(counts) > 2:
                right = labels[part] == decisions[part]
                row["accuracy"] = float(right.mean()) if part.sum() >= LEAST_IMAGES else math.nan
            if counts.min() > 1 and part.sum() >= LEAST_IMAGES:
                area = estimate.roc_auc(labels[part], scores[part], own)
                row |= {"roc_auc": area.value, "roc_auc_interval": area.interval(own)}
                accuracy = estimate.balanced_accuracy(labels[part], decisions[part], own)
                row["balanced_accuracy"] = accuracy.value
            rows.append(row)
    return rows


def _partitions(known: Sequence[Mapping[str, str]]) -> dict[str, np.ndarray]:
    """Each field that divides the images, as one name per image."""
    columns = {
        field: np.array([row.get(field, "") or "unknown" for row in known])
        for field in ("source", "sex", "site")
    }
    columns["age"] = np.array([_age(row.get("age", "")) for row in known])
    columns["size"] = _sizes(known)
    return {
        field: columns[field]
        for field in ("source", "size", "age", "sex", "site")
        if len(set(columns[field])) > 1
    }


def _place(value: str) -> tuple[bool, bool, str]:
    """Orders the parts of a field: "under 40" first, "unknown" last."""
    return value == "unknown", not value.startswith("under"), value


def _age(age: str) -> str:
    try:
        years = float(age)
    except ValueError:
        return "unknown"
    if not np.isfinite(years):
        return "unknown"
    if years < AGES[0]:
        return f"under {AGES[0]}"
    return f"{AGES[0]} to {AGES[1] - 1}" if years < AGES[1] else f"{AGES[1]} and over"


def _sizes(known: Sequence[Mapping[str, str]]) -> np.ndarray:
    """Thirds of the images by the files' pixels."""
    if not all(row.get("width") and row.get("height") for row in known):
        return np.full(len(known), "unknown")
    pixels = np.array([int(row["width"]) * int(row["height"]) for row in known]) / 1e6
    low, high = np.quantile(pixels, [1 / 3, 2 / 3], method="inverted_cdf")
    names = [f"1: up to {low:.3g} MP", f"2: up to {high:.3g} MP", f"3: over {high:.3g} MP"]
    return np.array(names)[(pixels > low).astype(int) + (pixels > high)]
