"""How well the classes are told apart by each input, and how much better than by another."""

import dataclasses
import hashlib
import io
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from stochconv_jax.atomic_write import atomic_write
from stochconv_jax.data.dataset.image_dataset import ImageDataset
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.estimate import Estimate, group_numbers, roc_auc_within_folds
from stochconv_jax.models import TwoBranchNetwork
from stochconv_jax.probing.classifier import (
    FOLDS,
    Fold,
    check_groups,
    draw_folds,
    out_of_fold_scores,
    telling_folds,
)
from stochconv_jax.probing.features import Features, image_features
from stochconv_jax.probing.inputs import INPUTS, Input

FULL = Input("whole", 1, 0)
GUESSING = 0.5


class Difference(NamedTuple):
    """A difference of ROC AUCs and its 95% interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.3f} ({self.low:+.3f} to {self.high:+.3f})"


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What was found of some images.

    Attributes:
      size: (height, width) of the images at full size.
      classes: their names.
      groups: int [N].
      estimates: the ROC AUC of each input, the mean within the same folds.
    """

    size: tuple[int, int]
    classes: tuple[str, ...]
    groups: np.ndarray
    estimates: Mapping[Input, Estimate]

    def interval(self, looked_at: Input) -> tuple[float, float]:
        """Returns the 95% interval of an input's ROC AUC, images of one group being dependent."""
        low, high = self.estimates[looked_at].interval(self.groups)
        return max(0.0, low), min(1.0, high)

    def difference(self, one: Input, other: Input) -> Difference:
        """Returns how much more ROC AUC one input has than another, on the same images."""
        found = self.estimates[one] - self.estimates[other]
        return Difference(found.value, *found.interval(self.groups))

    def tells_anything(self) -> bool:
        """Returns whether any input is shown to be better than guessing.

        Each is asked at 95% divided by their number (Bonferroni), for one of twenty would be
        found by chance.
        """
        level = 1 - 0.05 / len(self.estimates)
        found = self.estimates.values()
        return any(each.interval(self.groups, level)[0] > GUESSING for each in found)

    def rows(self) -> list[dict[str, Any]]:
        """Returns a row for each input, as JSON knows them."""
        rows: list[dict[str, Any]] = []
        for each, estimate in self.estimates.items():
            from_full = self.difference(each, FULL)
            row = {
                "input": each.kind,
                "shrunk_by": each.shrunk_by,
                "windows": each.windows,
                "roc_auc": estimate.value,
                "interval": list(self.interval(each)),
                "pixels": each.pixels(self.size),
                "minus_full_size": from_full.value,
                "minus_full_size_interval": list(from_full[1:]),
            }
            if each.kind == "both":
                gain = self.difference(each, Input("whole", each.shrunk_by, 0))
                row["gain_of_windows"] = gain.value
                row["gain_of_windows_interval"] = list(gain[1:])
            rows.append(row)
        return rows


def measure(
    dataset: ImageDataset, network: TwoBranchNetwork, directory: pathlib.Path, seed: int = 0
) -> Measurement:
    """Measures how well frozen features of each input tell the classes apart.

    Args:
      dataset: the images, whatever their splits.
      network: a plain one, in evaluation mode.
      directory: where features and scores are kept, so that none is computed twice.
      seed: of the windows and of the folds.

    Raises:
      InputError: a class stands in too few groups for the folds, or a feature is not finite.
    """
    groups = group_numbers([example.group for example in dataset.examples])
    labels = dataset.labels
    check_groups(labels, groups, dataset.classes)
    # The same for every input, so that differences are paired.
    folds = draw_folds(labels, groups, FOLDS, seed)
    telling = telling_folds(labels, groups, folds)
    features = image_features(dataset, network, directory / "features", seed)
    if not all(np.isfinite(values).all() for values in features.values()):
        raise InputError("the network's features are NaN or infinite; give other weights")
    scores = directory / "scores"
    scores.mkdir(exist_ok=True)
    estimates = {}
    for each in tqdm(INPUTS, "Judging", unit="input", leave=False):
        found = _kept_scores(_features_of(each, features), labels, groups, folds, seed, scores)
        estimates[each] = roc_auc_within_folds(labels, found, groups, telling)
    return Measurement(dataset.framing.size, dataset.classes, groups, estimates)


def _features_of(looked_at: Input, features: Features) -> np.ndarray:
    names = []
    if looked_at.shrunk_by:
        names.append(f"whole_{looked_at.shrunk_by}")
    if looked_at.windows:
        names.append(f"windows_{looked_at.windows}")
    return np.concatenate([features[name] for name in names], axis=1)


def _kept_scores(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    folds: Sequence[Fold],
    seed: int,
    directory: pathlib.Path,
) -> np.ndarray:
    digest = hashlib.sha256(repr((features.shape, seed)).encode())
    for array in (features, labels, groups, *(judged for _, judged in folds)):
        digest.update(np.ascontiguousarray(array).tobytes())
    file = directory / f"{digest.hexdigest()[:32]}.npy"
    if not file.exists():
        buffer = io.BytesIO()
        np.save(buffer, out_of_fold_scores(features, labels, groups, folds, seed))
        atomic_write(file, buffer.getvalue())
    return np.load(file)
