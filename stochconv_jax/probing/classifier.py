"""A linear classifier of frozen features, judged on groups that it was not fitted to."""

from collections.abc import Sequence

import numpy as np
from scipy.linalg import solve_triangular
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from stochconv_jax.errors import InputError
from stochconv_jax.keys import Purpose, generator

FOLDS = 5
# Of each class in a fold, without which its images tell nothing of an area's error.
LEAST_GROUPS = 2
# Within the images that are fitted to, to choose the penalty.
INNER_FOLDS = 3
# Inverse weights of the penalty on the coefficients of standardised features.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
MOST_ITERATIONS = 1000
# Of the mean square of an image's features: far below what any coefficient notices.
RIDGE = 1e-9

Fold = tuple[np.ndarray, np.ndarray]


def check_groups(labels: np.ndarray, groups: np.ndarray, classes: Sequence[str]) -> None:
    """Checks that every class stands in twice as many groups as there are folds.

    Raises:
      InputError: one does not.
    """
    for number, name in enumerate(classes):
        count = len(np.unique(groups[labels == number]))
        if count < LEAST_GROUPS * FOLDS:
            stands = "one group alone" if count == 1 else f"{count} groups"
            raise InputError(
                f"the class {name!r} stands in {stands}, which cannot be divided into {FOLDS} "
                f"folds of {LEAST_GROUPS} or more; bring images of it from more groups, or group "
                "them by another column"
            )


def draw_folds(labels: np.ndarray, groups: np.ndarray, count: int, seed: int) -> list[Fold]:
    """Returns the rows to fit to and those to judge, int, of each fold; they share no group.

    Raises:
      InputError: a class is missing where it would be fitted to.
    """
    state = int(generator(seed, Purpose.PROBING, count).integers(1 << 32))
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=state)
    folds = list(splitter.split(labels, labels, groups))
    if any(len(np.unique(labels[fitted])) < len(np.unique(labels)) for fitted, _ in folds):
        raise InputError(
            "the groups cannot be divided so that every class is on both sides; bring images of "
            "the rarest class from more groups"
        )
    return folds


def telling_folds(
    labels: np.ndarray, groups: np.ndarray, folds: Sequence[Fold]
) -> list[np.ndarray]:
    """Returns the judged rows of those folds in which every class stands in two groups or more.

    Raises:
      InputError: there is no such fold.
    """
    classes = np.unique(labels)
    telling = []
    for _, judged in folds:
        own, of = groups[judged], labels[judged]
        if all(len(np.unique(own[of == number])) >= LEAST_GROUPS for number in classes):
            telling.append(judged)
    if not telling:
        raise InputError(
            "the groups cannot be divided so that a fold has every class in two of them; bring "
            "images of the rarest class from more groups"
        )
    return telling


def out_of_fold_scores(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    folds: Sequence[Fold],
    seed: int,
) -> np.ndarray:
    """Returns the probabilities of every image by a fit to the groups of other folds.

    Features are standardised by what is fitted to, and so is logistic regression with an L2
    penalty, of which that is taken whose cross-entropy is least in folds within the same images.

    Args:
      features: float [N, D].
      labels: int [N], every class from 0 on.
      groups: int [N].
      folds: as `draw_folds` returns them.
      seed: of the draw of the folds within.

    Returns:
      float64 [N, classes]; those of different folds are on different scales.

    Raises:
      InputError: the groups cannot be divided.
    """
    scores = np.empty((len(labels), labels.max() + 1))
    # Problems so small are slower on several threads, and their last bits would depend on them.
    with threadpool_limits(1):
        for fitted, judged in folds:
            known, held_out = _standardised(features[fitted], features[judged])
            strength = _best_strength(known, labels[fitted], groups[fitted], seed)
            scores[judged] = _fit(known, labels[fitted], strength).predict_proba(held_out)
    return scores


def _best_strength(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int
) -> float:
    losses = np.zeros(len(STRENGTHS))
    for fitted, judged in draw_folds(labels, groups, INNER_FOLDS, seed):
        for place, strength in enumerate(STRENGTHS):
            model = _fit(features[fitted], labels[fitted], strength)
            probabilities = model.predict_proba(features[judged])
            losses[place] += log_loss(
                labels[judged], probabilities, normalize=False, labels=model.classes_
            )
    return STRENGTHS[int(losses.argmin())]


def _fit(features: np.ndarray, labels: np.ndarray, strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=MOST_ITERATIONS).fit(features, labels)


def _standardised(fitted: np.ndarray, judged: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns both standardised by the first, float64, in as few dimensions as the first spans.

    With fewer images than features, X X' = L L' stands in for X, and Y X' L'^-1 for Y: the same
    scalar products, so the same solution of a smaller problem, since the penalty does not know how
    the axes lie.
    """
    mean = fitted.mean(axis=0, dtype=np.float64)
    deviation = fitted.std(axis=0, dtype=np.float64)
    scale = np.where(deviation > 0, deviation, 1)
    known, held_out = (fitted - mean) / scale, (judged - mean) / scale
    if len(known) >= known.shape[1]:
        return known, held_out
    products = known @ known.T
    # Centred, they are singular.
    products.flat[:: len(known) + 1] += RIDGE * max(products.trace() / len(known), 1)
    lower = np.linalg.cholesky(products)
    return lower, solve_triangular(lower, known @ held_out.T, lower=True).T
