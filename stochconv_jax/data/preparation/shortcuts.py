"""What, other than the lesion, could tell a network the class."""

from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.metrics import roc_auc_score

from stochconv_jax.data.dataset.manifest import ManifestRow

# An AUC as far from 0.5 as this is worth a warning.
NOTABLE = 0.1


def shortcut_aucs(
    rows: Sequence[ManifestRow], borders: Mapping[str, float], classes: Sequence[str]
) -> dict[str, tuple[float, str]]:
    """Returns how well each circumstance of an image, taken alone, tells its class.

    The AUC is that of the class against all others; of several classes, of the one that is told
    best. Words such as the source count as the share of the class among their images, which
    flatters those of few images. It is given as 0.5 or more: which way it points does not matter.

    Args:
      rows: the images, of the training split.
      borders: share of nearly black pixels in an image's rim, by the file's sha256.
      classes: names of the classes; of two, the second is told.

    Returns:
      (AUC, class) by the circumstance's name; those that do not vary, or are not known of any
      image, are left out.
    """
    numbers = {
        "megapixels": [_product(row.width, row.height) for row in rows],
        "aspect": [_ratio(row.width, row.height) for row in rows],
        "age": [_number(row.age) for row in rows],
        "black border": [borders.get(row.sha256, np.nan) for row in rows],
    }
    words = {name: [getattr(row, name) for row in rows] for name in ("source", "sex", "site")}
    targets = np.array([row.target for row in rows])
    told = classes[-1:] if len(classes) == 2 else classes
    aucs = {}
    for name, values in [*numbers.items(), *words.items()]:
        column = np.array(values)
        known = column != "" if column.dtype.kind == "U" else np.isfinite(column)
        best = max(
            (
                (auc, label)
                for label in told
                if (auc := _auc(column[known], targets[known] == label)) is not None
            ),
            default=None,
        )
        if best is not None:
            aucs[name] = best
    return dict(sorted(aucs.items(), key=lambda item: -item[1][0]))


def _auc(values: np.ndarray, positive: np.ndarray) -> float | None:
    if len(np.unique(values)) < 2 or positive.all() or not positive.any():
        return None
    if values.dtype.kind == "U":
        _, inverse = np.unique(values, return_inverse=True)
        share = np.bincount(inverse, weights=positive) / np.bincount(inverse)
        values = share[inverse]
    auc = float(roc_auc_score(positive, values))
    return max(auc, 1 - auc)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _product(width: str, height: str) -> float:
    return _number(width) * _number(height) / 1e6


def _ratio(width: str, height: str) -> float:
    return _number(width) / _number(height)
