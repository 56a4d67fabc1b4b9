"""Metrics with each image's influence on them, from which their uncertainty follows."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import stats


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A metric computed from N images, and what each image contributes to its error.

    Its standard error is the root of the sum over groups of their summed influence squared. Means
    and differences of estimates on the same images are estimates again, so paired comparisons and
    averages over seeds, draws and classes need nothing more.

    Attributes:
      value: of the metric.
      influence: float64 [N].
    """

    value: float
    influence: np.ndarray

    def __sub__(self, other: "Estimate") -> "Estimate":
        return Estimate(self.value - other.value, self.influence - other.influence)

    def standard_error(self, groups: np.ndarray) -> float:
        """Returns the standard error, images of one group (int [N]) being dependent."""
        return float(np.sqrt((np.bincount(groups, self.influence) ** 2).sum()))

    def interval(self, groups: np.ndarray, level: float = 0.95) -> tuple[float, float]:
        """Returns the normal interval around the value."""
        margin = float(stats.norm.ppf((1 + level) / 2)) * self.standard_error(groups)
        return self.value - margin, self.value + margin

    def p_value(self, groups: np.ndarray) -> float:
        """Returns the two-sided p-value of the value being 0; DeLong's, of a difference of AUCs.

        NaN where the images tell nothing of the error, as of a perfect separation.
        """
        error = self.standard_error(groups)
        if error == 0:
            return 1.0 if self.value == 0 else float("nan")
        return float(2 * stats.norm.sf(abs(self.value) / error))


def mean(estimates: Sequence[Estimate]) -> Estimate:
    """Returns the mean of estimates on the same images."""
    return Estimate(
        float(np.mean([estimate.value for estimate in estimates])),
        np.mean([estimate.influence for estimate in estimates], axis=0),
    )


def group_numbers(groups: Sequence[str]) -> np.ndarray:
    """Returns int [N], equal for images of one group; an image of group "" is one by itself."""
    names = [group or f"\0{number}" for number, group in enumerate(groups)]
    return np.unique(names, return_inverse=True)[1]


def roc_auc(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> Estimate:
    """Returns the area under the ROC curve, the mean over classes against the rest of several.

    With A the area, m and n the numbers of positive and negative images, V the share of images of
    the other class that an image is ranked right of (ties count half), its influence is
    (V - A) / sqrt(m (m - 1)) for positives, likewise for negatives. The standard error is
    DeLong's; with groups, Obuchowski's for clustered images (with I / (I - 1), I the number of
    groups, in place of m / (m - 1); the cross term takes the geometric mean of both).

    Args:
      labels: int [N].
      scores: [N, classes]; of two classes the second decides.
      groups: int [N].

    Source: DeLong, DeLong & Clarke-Pearson 1988; Obuchowski 1997.
    """
    return mean(
        [
            roc_auc_of_class(labels, scores, groups, number)
            for number in _deciding_classes(scores.shape[1])
        ]
    )


def roc_auc_within_folds(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, folds: Sequence[np.ndarray]
) -> Estimate:
    """Returns the mean over folds of their own `roc_auc`, none ranked against another's scores.

    Args:
      labels: int [N].
      scores: [N, classes], those of each fold by another fit, on a scale of its own.
      groups: int [N].
      folds: the rows of each, which have images of every class.
    """
    found = []
    for own in folds:
        area = roc_auc(labels[own], scores[own], groups[own])
        influence = np.zeros(len(labels))
        influence[own] = area.influence
        found.append(Estimate(area.value, influence))
    return mean(found)


def roc_auc_of_class(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, number: int
) -> Estimate:
    """Returns the area under the ROC curve of one class against the rest, as `roc_auc` has it.

    Args:
      labels: int [N].
      scores: [N, classes].
      groups: int [N].
      number: of the class, which some images have and some do not.
    """
    positive, values = labels == number, scores[:, number]
    ranks = stats.rankdata(values)
    shares = np.empty(len(values))
    for of, sign in ((positive, 1), (~positive, -1)):
        others = ranks[of] - stats.rankdata(values[of])
        share = others / (~of).sum()
        shares[of] = share if sign > 0 else 1 - share
    influence = _centred(shares, positive, groups) + _centred(shares, ~positive, groups)
    return Estimate(_ranked_area(positive, ranks), influence)


def roc_auc_value(labels: np.ndarray, scores: np.ndarray) -> float:
    """Returns the value of `roc_auc` alone, which is quicker; NaN where a class has no image.

    Args:
      labels: int [N].
      scores: [N, classes].
    """
    classes = scores.shape[1]
    if len(np.unique(labels)) < classes:
        return float("nan")
    areas = [
        _ranked_area(labels == number, stats.rankdata(scores[:, number]))
        for number in _deciding_classes(classes)
    ]
    return float(np.mean(areas))


def _ranked_area(positive: np.ndarray, ranks: np.ndarray) -> float:
    """Returns the area under the ROC curve from bool [N] and the scores' ranks, ties averaged."""
    count = int(positive.sum())
    pairs = count * (len(positive) - count)
    return float((ranks[positive].sum() - count * (count + 1) / 2) / pairs)


def _deciding_classes(classes: int) -> range:
    """Returns the classes that are set against the rest: of two, the second only."""
    return range(1, 2) if classes == 2 else range(classes)


def balanced_accuracy(labels: np.ndarray, decisions: np.ndarray, groups: np.ndarray) -> Estimate:
    """Returns the mean over the classes that occur of the share decided right, int [N] all."""
    right = (decisions == labels).astype(np.float64)
    return mean(
        [
            Estimate(right[of].mean(), _centred(right, of, groups))
            for of in (labels == number for number in np.unique(labels))
        ]
    )


def accuracy(labels: np.ndarray, decisions: np.ndarray, groups: np.ndarray) -> Estimate:
    """Returns the share of the images decided right, int [N] all."""
    right = (decisions == labels).astype(np.float64)
    return Estimate(right.mean(), _centred(right, np.full(len(right), True), groups))


def quadratic_weighted_kappa(
    labels: np.ndarray, decisions: np.ndarray, groups: np.ndarray
) -> Estimate:
    """Returns the agreement of grades: 1 - D / E, int [N] all.

    D is the mean of (label - decision)**2 over the images, E the same over all pairs of one image's
    label and another's decision. The influence is that of a ratio of means: with d and e an
    image's own terms of both, (D (e - E) - E (d - D)) / E**2, and e = mean over k of
    (label - decision[k])**2 + (label[k] - decision)**2 - E, since it stands in pairs twice. NaN
    where all labels and decisions are one grade.

    Source: Cohen 1968.
    """
    label, decision = labels.astype(np.float64), decisions.astype(np.float64)
    own = (label - decision) ** 2
    # The mean over k of (x - y[k])**2 is (x - mean(y))**2 + var(y).
    as_label = (label - decision.mean()) ** 2 + decision.var()
    as_decision = (decision - label.mean()) ** 2 + label.var()
    disagreement, expected = own.mean(), as_label.mean()
    paired = as_label + as_decision - expected
    if expected == 0:
        return Estimate(float("nan"), np.full(len(own), np.nan))
    terms = (disagreement * paired - expected * own) / expected**2
    every = np.full(len(own), True)
    return Estimate(float(1 - disagreement / expected), _centred(terms, every, groups))


def _centred(values: np.ndarray, of: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The influence of the images `of` on the mean of their values, with the sample's correction.

    A class in one group alone tells nothing of its error, which is then not a number.
    """
    count = len(np.unique(groups[of]))
    correction = np.sqrt(count / (count - 1)) if count > 1 else np.nan
    return np.where(of, values - values[of].mean(), 0.0) * (correction / of.sum())
