"""Which images train, validate and test: as given, or drawn by group, stratified, from a seed."""

import collections
import dataclasses
import re
from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import StratifiedKFold, train_test_split

from stochconv_jax.data.dataset.image_dataset import Example
from stochconv_jax.errors import InputError

SPLITS = ("train", "validation", "test")
FOLD = "fold_"
_FOLD_NAME = re.compile(rf"{FOLD}(0|[1-9]\d*)")


@dataclasses.dataclass(frozen=True)
class Drawing:
    """How splits are drawn where nothing gives them.

    Attributes:
      validation_fraction: of the groups, in (0, 1); not used with folds.
      test_fraction: of the groups, in [0, 1).
      folds: into how many the groups that do not test are divided; 0 for none.
      seed: of the draw.
      beside_test: whether images may come as "test" and the rest without a split, to be divided.
    """

    validation_fraction: float = 0.2
    test_fraction: float = 0.0
    folds: int = 0
    seed: int = 0
    beside_test: bool = False


def resolve_splits(examples: Sequence[Example], fold: int, drawing: Drawing) -> np.ndarray:
    """Returns what each image is for, as its `split` says, or as drawn where none of them does.

    Args:
      examples: the images; a split is train, validation or test, or fold_0, fold_1, ... or test.
      fold: the one that validates; the other folds train.
      drawing: of the splits, where all of the images' are "".

    Returns:
      [images] of "train", "validation" or "test".

    Raises:
      InputError: a split is unknown or missing, the folds are not 0 to n - 1, there is no such
        fold, or there are too few groups of a class.
    """
    splits = fill_splits(examples, drawing)
    count = len({split for split in splits if split.startswith(FOLD)})
    if not count:
        if fold:
            raise InputError(
                f"data.fold is {fold} and the images are not divided into folds; prepare them "
                "with --folds, set data.folds, or leave data.fold at 0"
            )
        return splits
    if not 0 <= fold < count:
        raise InputError(f"data.fold is {fold}; the images are divided into {count} folds")
    others = np.where(splits == "test", "test", "train")
    return np.where(splits == f"{FOLD}{fold}", "validation", others)


def retraining_splits(splits: np.ndarray) -> np.ndarray:
    """Returns the splits of a last training: what validated trains, and what tests validates.

    Raises:
      InputError: there is no test split.
    """
    if not (splits == "test").any():
        raise InputError(
            "data.retrain trains on the validation images as well, and there is no test split to "
            "judge on; hold one out with data.test_fraction or the table's split column"
        )
    return np.where(splits == "test", "validation", "train")


def fill_splits(examples: Sequence[Example], drawing: Drawing) -> np.ndarray:
    """Returns the images' splits as they are given, folds by their names, or as they are drawn.

    Raises:
      InputError: a split is unknown or missing, the folds are not 0 to n - 1 or are asked for
        beside given splits, or there are too few groups of a class.
    """
    given = [example.split for example in examples]
    if drawing.beside_test and "test" in given:
        return _fill_beside_test(examples, drawing)
    check_given([example.id for example in examples], given)
    if any(given):
        if drawing.folds:
            raise InputError(
                f"the images come with splits and --folds is {drawing.folds} (in a config, "
                "data.folds); leave one of the two out"
            )
        return np.array(given)
    labels = [example.label for example in examples]
    groups = [example.group for example in examples]
    if drawing.folds:
        return assign_folds(labels, groups, drawing.folds, drawing.seed, drawing.test_fraction)
    return assign_splits(
        labels, groups, drawing.validation_fraction, drawing.test_fraction, drawing.seed
    )


def _fill_beside_test(examples: Sequence[Example], drawing: Drawing) -> np.ndarray:
    """Divides those that do not come as test."""
    if drawing.test_fraction:
        raise InputError(
            f"the images come with a test split and --test-fraction is {drawing.test_fraction}; "
            "leave it out"
        )
    rest = [place for place, example in enumerate(examples) if example.split != "test"]
    drawn = fill_splits(
        [examples[place] for place in rest], dataclasses.replace(drawing, beside_test=False)
    )
    splits = np.full(len(examples), "test", object)
    splits[rest] = drawn
    return splits.astype(str)


def split_names(given: Sequence[str]) -> list[str]:
    """Returns what a table's splits are called here: folds that are only numbers get their names.

    Raises:
      InputError: they are 0 and 1 alone.
    """
    if set(filter(None, given)) == {"0", "1"}:
        raise InputError(
            "the column of splits holds 0 and 1 alone, which may be a flag as well as two folds; "
            f"write {FOLD}0 and {FOLD}1, or {', '.join(SPLITS)}"
        )
    return [f"{FOLD}{name}" if name.isdecimal() else name for name in given]


def check_given(ids: Sequence[str], given: Sequence[str]) -> None:
    """Checks a column of splits: all of it given or none, and each a split or a numbered fold.

    Raises:
      InputError: names the first image whose split is not one.
    """
    if not any(given):
        return
    name_of: dict[str, str] = {}
    for name, split in zip(ids, given, strict=True):
        if not split:
            raise InputError(
                f"{name} has no split and other images have one; write one for every image, or "
                "none at all to draw them"
            )
        if split not in SPLITS and not _FOLD_NAME.fullmatch(split):
            raise InputError(
                f"{name} has the split {split!r}; use {', '.join(SPLITS)}, or {FOLD}0, {FOLD}1, "
                "... and test"
            )
        name_of.setdefault(split, name)
    folds = [split for split in name_of if split.startswith(FOLD)]
    if not folds:
        return
    for split in ("train", "validation"):
        if split in name_of:
            raise InputError(
                f"{name_of[folds[0]]} has the split {folds[0]!r} beside {split!r} of "
                f"{name_of[split]}; use folds and test, or {', '.join(SPLITS)}"
            )
    for fold in folds:
        if len(folds) < 2 or int(fold.removeprefix(FOLD)) >= len(folds):
            raise InputError(
                f"{name_of[fold]} has the split {fold!r} and there are {len(folds)} folds; number "
                f"two or more of them from {FOLD}0 on without a gap"
            )


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
      groups: what must not be divided, such as the lesion or the patient of each image; "" for an
        image by itself.
      validation_fraction: share of the groups that validate, in [0, 1).
      test_fraction: share of the groups that test, in [0, 1).
      seed: of the draw.

    Returns:
      [images] of "train", "validation" or "test".

    Raises:
      InputError: there are too few groups of a class.
    """
    units = _units(groups)
    stratum = _strata(labels, units)
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
    return np.array([split_of[unit] for unit in units])


def assign_folds(
    labels: Sequence[str],
    groups: Sequence[str],
    folds: int,
    seed: int,
    test_fraction: float = 0.0,
) -> np.ndarray:
    """Assigns every image to a fold or the test split so that no group stands in two.

    Args:
      labels: the class of each image; groups are stratified by the rarest of their classes.
      groups: what must not be divided; "" for an image by itself.
      folds: how many, 2 or more.
      seed: of the draw.
      test_fraction: share of the groups that test, in [0, 1), held out before the folds are made.

    Returns:
      [images] of "fold_0", "fold_1", ... and, with a `test_fraction`, "test".

    Raises:
      InputError: there are fewer groups of a class than folds, or too few to hold any out.
    """
    units = _units(groups)
    stratum = _strata(labels, units)
    every = sorted(stratum)
    tested = set(_hold_out(every, [stratum[name] for name in every], test_fraction, seed))
    names = [name for name in every if name not in tested]
    strata = [stratum[name] for name in names]
    rarest, count = collections.Counter(strata).most_common()[-1]
    if count < folds:
        raise InputError(
            f"{count} groups with images of the class {rarest!r} cannot be divided into {folds} "
            "folds; bring more images or ask for fewer folds"
        )
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    split_of = dict.fromkeys(tested, "test")
    for fold, (_, held_out) in enumerate(splitter.split(names, strata)):
        split_of.update(dict.fromkeys((names[index] for index in held_out), f"{FOLD}{fold}"))
    return np.array([split_of[unit] for unit in units])


# A group, or "" and the place of an image that stands alone.
Unit = tuple[str, int]


def _units(groups: Sequence[str]) -> list[Unit]:
    return [(group, -1 if group else place) for place, group in enumerate(groups)]


def _strata(labels: Sequence[str], units: Sequence[Unit]) -> dict[Unit, str]:
    """Returns each group's rarest class, so that groups of a rare class are divided evenly."""
    count = collections.Counter(labels)
    stratum: dict[Unit, str] = {}
    for label, unit in zip(labels, units, strict=True):
        stratum[unit] = min(label, stratum.get(unit, label), key=lambda name: (count[name], name))
    return stratum


def _hold_out(groups: list[Unit], strata: list[str], fraction: float, seed: int) -> list[Unit]:
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
