"""Whether a network that was trained again may take the old one's place."""

import dataclasses
from typing import Any

import numpy as np

from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.estimate import Estimate, roc_auc

MARGIN = 0.02


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A test of non-inferiority on images that neither network was trained on.

    The new network is taken where the 95% interval of the difference, new less old, lies above
    -margin: so it is worse by no more than that, but for one chance in forty. That the interval
    holds 0 is not enough. With few images it is wide and holds nearly everything, a network that is
    worse by 0.1 included: absence of evidence is not evidence of absence.

    Attributes:
      old: ROC AUC of the old network.
      new: of the new one, on the same images with the same draws of windows.
      groups: int [N], equal for images that belong together.
      margin: of ROC AUC, in [0, 1).

    Source: FDA, "Non-Inferiority Clinical Trials to Establish Effectiveness", 2016; Altman & Bland,
    "Absence of evidence is not evidence of absence", 1995.
    """

    old: Estimate
    new: Estimate
    groups: np.ndarray
    margin: float = MARGIN

    @property
    def difference(self) -> Estimate:
        """New less old, paired by image."""
        return self.new - self.old

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the difference, images of one group being dependent."""
        return self.difference.interval(self.groups)

    @property
    def taken(self) -> bool:
        """Whether the new network takes the old one's place."""
        return self.interval[0] > -self.margin

    def sentence(self) -> str:
        """Returns what was found and what follows, in one sentence."""
        low, high = self.interval
        found = (
            f"ROC AUC {self.new.value:.4f} in place of {self.old.value:.4f}, a difference of "
            f"{self.difference.value:+.4f}"
        )
        found = f"{found} with a 95% interval from {low:+.4f} to {high:+.4f}"
        if self.taken:
            return f"{found}, which lies above {0 - self.margin:g}: the new network is taken"
        if high < 0:
            return f"{found}: it is worse, and the old network is kept"
        return (
            f"{found}, so that it may be worse by more than {self.margin:g}: the old network is "
            "kept; more images that are held out would narrow the interval"
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the figures as JSON knows them."""
        return {
            "metric": "roc_auc",
            "images": len(self.groups),
            "groups": len(np.unique(self.groups)),
            "old": self.old.value,
            "old_interval": self.old.interval(self.groups),
            "new": self.new.value,
            "new_interval": self.new.interval(self.groups),
            "difference": self.difference.value,
            "interval": self.interval,
            "margin": self.margin,
            "taken": self.taken,
            "sentence": self.sentence(),
        }


def held_out_auc(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> Estimate:
    """Returns the ROC AUC of a network on images that are held out.

    Args:
      labels: int [N], indices of the classes.
      scores: float64 [N, classes], probabilities.
      groups: int [N], equal for images that belong together.

    Raises:
      InputError: a class has no image, or so few groups that the error cannot be told.
    """
    counts = [len(np.unique(groups[labels == number])) for number in range(scores.shape[1])]
    if min(counts) < 2:
        raise InputError(
            f"a class has {min(counts)} groups of images among those to judge on, and how far "
            "chance moves its ROC AUC is told by two or more; judge on another split (--split)"
        )
    return roc_auc(labels, scores, groups)
