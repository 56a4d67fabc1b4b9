"""Whether a network that was trained again may take the old one's place."""

import dataclasses
import functools
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.estimate import Estimate, roc_auc

MARGIN = 0.02
_Z = float(norm.ppf(0.975))


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A test of non-inferiority on images that neither network was trained on.

    The new network is taken where the 95% interval of the difference, new less old, lies above
    -margin: so it is worse by no more than that, but for about one chance in forty. That the
    interval holds 0 is not enough. With few images it is wide and holds nearly everything, a
    network that is worse by 0.1 included: absence of evidence is not evidence of absence.

    Attributes:
      old: ROC AUC of the old network.
      new: of the new one, on the same images with the same draws of windows.
      labels: int [N], indices of the classes.
      groups: int [N], equal for images that belong together.
      margin: of ROC AUC, in [0, 1).

    Source: FDA, "Non-Inferiority Clinical Trials to Establish Effectiveness", 2016; Altman & Bland,
    "Absence of evidence is not evidence of absence", 1995.
    """

    old: Estimate
    new: Estimate
    labels: np.ndarray
    groups: np.ndarray
    margin: float = MARGIN

    @property
    def difference(self) -> Estimate:
        """New less old, paired by image."""
        return self.new - self.old

    @functools.cached_property
    def standard_error(self) -> float:
        """Of the difference: DeLong's, or that of a model of the areas where it is larger.

        Where an area is near 1 hardly an image is ranked wrong, so that DeLong's error, which is
        made of these, is 0 or far too small. The model's is sqrt(s² + t² - 2 r s t), with s and t
        the areas' errors (`_modelled_error`) and r the correlation of their influences, by
        m / (m + 1), as if one more group were independent; m is the groups of the rarest class.
        """
        sizes = _sizes(self.labels, self.groups)
        old, new = (_modelled_error(area.value, sizes) for area in (self.old, self.new))
        found = self.difference.standard_error(self.groups)
        own = [area.standard_error(self.groups) for area in (self.old, self.new)]
        product = own[0] * own[1]
        correlation = (own[0] ** 2 + own[1] ** 2 - found**2) / (2 * product) if product else 0.0
        correlation *= sizes.min() / (sizes.min() + 1)
        modelled = np.sqrt(old**2 + new**2 - 2 * correlation * old * new)
        return max(found, float(modelled))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the difference, images of one group being dependent."""
        value, reach = self.difference.value, _Z * self.standard_error
        return value - reach, value + reach

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


def _sizes(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Returns int [classes, 2]: groups that have images of a class, and of others."""
    return np.array(
        [
            [len(np.unique(groups[of])) for of in (labels == number, labels != number)]
            for number in np.unique(labels)
        ]
    )


def _modelled_error(area: float, sizes: np.ndarray) -> float:
    """Returns what the standard error of a ROC AUC is by a model, were each group one image.

    With A an area, m and n the sizes, the error is the root of
    A (1 - A) (1 + ((m + n) / 2 - 1) ((1 - A) / (2 - A) + A / (1 + A))) / (m n), averaged over the
    classes. A is the middle of the interval of all areas that lie within 1.96 of their own errors
    of the one that was found, as Wilson's is of a share; so the error is never 0.

    Source: Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney
    statistic, part 2", 2006, method 5, after Hanley & McNeil 1982; that errors are taken at the
    interval's middle is after Agresti & Coull 1998.
    """
    first, second = sizes.T.astype(np.float64)

    def error(true: float) -> float:
        pairs = (1 - true) / (2 - true) + true / (1 + true)
        spread = true * (1 - true) * (1 + ((first + second) / 2 - 1) * pairs)
        return float(np.sqrt(spread / (first * second)).mean())

    def lower(found: float) -> float:
        if found == 0:
            return 0.0
        # At 1 the error is 0, so that 1 solves it as well.
        return brentq(lambda true: found - true - _Z * error(true), 0, found * (1 - 1e-9))

    # The error is the same of A and 1 - A, and so the upper end is a lower one.
    return error((lower(area) + 1 - lower(1 - area)) / 2)
