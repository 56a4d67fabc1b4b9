import numpy as np
import pytest

from stochconv_jax.data.splits import assign_splits
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
