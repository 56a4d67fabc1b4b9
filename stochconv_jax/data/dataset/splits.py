"""Which images train, validate and test: by group, stratified, from a seed."""

import collections
from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import StratifiedKFold, train_test_split

from stochconv_jax.errors import InputError

SPLITS = ("train", "validation", "test")
FOLD = "fold_"


def assign_splits(
    labels: Sequence[str],
    groups: Sequence[str],
    validation_fraction: float,
    test_fraction: float,
    seed: int,
) -> np.ndarray:
    """Assigns every image to a split so that no group stands in two.

    Args:
      labels: the class of each image; groups are stratified by the rarest of their classes.
      groups: what must not be divided, such as the lesion or the patient of each image.
      validation_fraction: share of the groups that validate, in [0, 1).
      test_fraction: share of the groups that test, in [0, 1).
      seed: of the draw.

    Returns:
      [images] of "train", "validation" or "test".

    Raises:
      InputError: there are too few groups of a class.
    """
    stratum = _strata(labels, groups)
    names = sorted(stratum)
    strata = [stratum[name] for name in names]
    held_out = _hold_out(names, strata, validation_fraction + test_fraction, seed)
    split_of = dict.fromkeys(names, "train")
    if test_fraction and held_out:
        held_strata = [stratum[name] for name in held_out]
        share = test_fraction / (validation_fraction + test_fraction)
        tested = _hold_out(held_out, held_strata, share, seed)
        split_of.update(dict.fromkeys(tested, "test"))
        held_out = sorted(set(held_out) - set(tested))
    split_of.update(dict.fromkeys(held_out, "validation"))
    return np.array([split_of[group] for group in groups])


def assign_folds(labels: Sequence[str], groups: Sequence[str], folds: int, seed: int) -> np.ndarray:
    """Assigns every image to one of several folds so that no group stands in two.

    Args:
      labels: the class of each image; groups are stratified by the rarest of their classes.
      groups: what must not be divided.
      folds: how many, 2 or more.
      seed: of the draw.

    Returns:
      [images] of "fold_0", "fold_1", ...

    Raises:
      InputError: there are fewer groups of a class than folds.
    """
    stratum = _strata(labels, groups)
    names = sorted(stratum)
    strata = [stratum[name] for name in names]
    rarest, count = collections.Counter(strata).most_common()[-1]
    if count < folds:
        raise InputError(
            f"{count} groups with images of the class {rarest!r} cannot be divided into {folds} "
            "folds; bring more images or ask for fewer folds"
        )
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    fold_of = {
        names[index]: f"{FOLD}{fold}"
        for fold, (_, held_out) in enumerate(splitter.split(names, strata))
        for index in held_out
    }
    return np.array([fold_of[group] for group in groups])


def _strata(labels: Sequence[str], groups: Sequence[str]) -> dict[str, str]:
    """Returns each group's rarest class, so that groups of a rare class are divided evenly."""
    count = collections.Counter(labels)
    stratum: dict[str, str] = {}
    for label, group in zip(labels, groups, strict=True):
        stratum[group] = min(label, stratum.get(group, label), key=lambda name: (count[name], name))
    return stratum


def _hold_out(groups: list[str], strata: list[str], fraction: float, seed: int) -> list[str]:
    if fraction in (0, 1):
        return groups if fraction else []
    try:
        _, held_out = train_test_split(
            groups, test_size=fraction, stratify=strata, random_state=seed
        )
    except ValueError as error:
        raise InputError(
            f"{len(groups)} groups of images cannot be split with data.validation_fraction and "
            f"data.test_fraction so that every class is in each part ({error}); bring more images "
            "or change the fractions"
        ) from error
    return sorted(held_out)
