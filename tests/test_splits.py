import numpy as np
import pytest

from stochconv_jax.data.dataset.splits import assign_folds, assign_splits
from stochconv_jax.errors import InputError


def make_groups(count=300):
    rng = np.random.default_rng(0)
    labels, groups = [], []
    for group in range(count):
        for _ in range(rng.integers(1, 5)):
            labels.append("sick" if group % 4 == 0 else "well")
            groups.append(f"patient {group}")
    return labels, groups


def test_no_group_crosses_and_every_split_has_its_share_of_each_class():
    labels, groups = make_groups()
    splits = assign_splits(labels, groups, 0.2, 0.1, seed=0)
    split_of = dict(zip(groups, splits, strict=True))
    for group, split in zip(groups, splits, strict=True):
        assert split_of[group] == split
    for split, share in {"train": 0.7, "validation": 0.2, "test": 0.1}.items():
        members = [group for group, found in split_of.items() if found == split]
        assert len(members) == pytest.approx(300 * share, abs=1)
        sick = [int(group.split()[1]) % 4 == 0 for group in members]
        assert np.mean(sick) == pytest.approx(0.25, abs=0.03)


def test_the_draw_is_the_seeds():
    labels, groups = make_groups()
    first, again, other = (assign_splits(labels, groups, 0.2, 0.0, seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    assert set(first) == {"train", "validation"}


def test_too_few_groups_of_a_class_are_refused():
    with pytest.raises(InputError, match="3 groups of images cannot be split"):
        assign_splits(["a", "a", "b"], ["x", "y", "z"], 0.2, 0.0, 0)


def test_folds_divide_groups_evenly_and_each_has_its_share_of_the_rare_class():
    labels, groups = make_groups()
    folds = assign_folds(labels, groups, 5, seed=0)
    fold_of = dict(zip(groups, folds, strict=True))
    assert [fold_of[group] for group in groups] == list(folds)
    assert set(folds) == {f"fold_{number}" for number in range(5)}
    for fold in set(folds):
        members = [int(group.split()[1]) for group, found in fold_of.items() if found == fold]
        assert len(members) == 60
        assert sum(number % 4 == 0 for number in members) == 15


def test_groups_count_by_the_rarest_of_their_classes():
    """Every patient has benign moles; those with a melanoma as well must be divided evenly."""
    groups = [f"p{number}" for number in range(100) for _ in range(5)]
    labels = ["melanoma" if n % 5 == 0 and n < 100 else "nevus" for n in range(500)]
    splits = assign_splits(labels, groups, 0.2, 0.0, 0)
    held = {group for group, split in zip(groups, splits, strict=True) if split == "validation"}
    assert sum(int(group[1:]) < 20 for group in held) == 4


def test_more_folds_than_groups_of_a_class_are_refused():
    with pytest.raises(InputError, match="2 groups with images of the class 'a'"):
        assign_folds(["a", "a", "b", "b", "b"], list("vwxyz"), 3, 0)
