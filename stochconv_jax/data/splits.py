"""Which images train, validate and test: by group, stratified, from a seed."""

import collections
from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import train_test_split

from stochconv_jax.errors import InputError

SPLITS = ("train", "validation", "test")


def assign_splits(
    labels: Sequence[str],
    groups: Sequence[str],
    validation_fraction: float,
    test_fraction: float,
    seed: int,
) -> np.ndarray:
    """Assigns every image to a split so that no group stands in two.

    Args:
      labels: the class of each image; groups are stratified by their most frequent class.
      groups: what must not be divided, such as the lesion or the patient of each image.
      validation_fraction: share of the groups that validate, in [0, 1).
      test_fraction: share of the groups that test, in [0, 1).
      seed: of the draw.

    Returns:
      [images] of "train", "validation" or "test".

    Raises:
      InputError: there are too few groups of a class.
    """
    classes: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for label, group in zip(labels, groups, strict=True):
        classes[group][label] += 1
    names = sorted(classes)
    strata = [classes[name].most_common(1)[0][0] for name in names]
    held_out = _hold_out(names, strata, validation_fraction + test_fraction, seed)
    split_of = dict.fromkeys(names, "train")
    if test_fraction and held_out:
        held_strata = [classes[name].most_common(1)[0][0] for name in held_out]
        share = test_fraction / (validation_fraction + test_fraction)
        tested = _hold_out(held_out, held_strata, share, seed)
        split_of.update(dict.fromkeys(tested, "test"))
        held_out = sorted(set(held_out) - set(tested))
    split_of.update(dict.fromkeys(held_out, "validation"))
    return np.array([split_of[group] for group in groups])


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
