import numpy as np
import pytest

from stochconv_jax.data.dataset.image_dataset import Example
from stochconv_jax.data.dataset.splits import (
    Drawing,
    assign_folds,
    assign_splits,
    resolve_splits,
    retraining_splits,
    split_names,
)
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


def test_images_without_a_group_stand_alone():
    labels = ["a", "b"] * 20
    splits = assign_splits(labels, [""] * 40, 0.2, 0.2, 0)
    assert {name: int(np.sum(splits == name)) for name in ("validation", "test")} == {
        "validation": 8,
        "test": 8,
    }
    assert set(assign_folds(labels, [""] * 40, 4, 0)) == {f"fold_{number}" for number in range(4)}


def test_the_test_groups_are_held_out_before_the_folds_are_made():
    labels, groups = make_groups()
    splits = assign_folds(labels, groups, 4, seed=0, test_fraction=0.2)
    split_of = dict(zip(groups, splits, strict=True))
    assert [split_of[group] for group in groups] == list(splits)
    for split in ("test", "fold_0", "fold_1", "fold_2", "fold_3"):
        members = [int(group.split()[1]) for group, found in split_of.items() if found == split]
        assert len(members) == 60
        assert sum(number % 4 == 0 for number in members) == 15


def resolve(*given, fold=0):
    examples = [
        Example(f"i{place}", "ab"[place % 2], "", split) for place, split in enumerate(given)
    ]
    return resolve_splits(examples, fold, Drawing(validation_fraction=0.5)).tolist()


def test_given_splits_are_taken_and_open_ones_drawn():
    assert resolve("test", "train", "validation") == ["test", "train", "validation"]
    assert resolve("fold_1", "fold_0", "test", fold=1) == ["validation", "train", "test"]
    drawn = resolve("", "", "", "")
    assert sorted(drawn) == ["train", "train", "validation", "validation"]


@pytest.mark.parametrize(
    ("given", "fold", "sentence"),
    [
        (("train", "valid"), 0, "i1 has the split 'valid'; use train, validation, test, or fold_0"),
        (("train", ""), 0, "i1 has no split"),
        (("", "test"), 0, "i0 has no split"),
        (("fold_0", "fold_1", "train"), 0, "i0 has the split 'fold_0' beside 'train' of i2"),
        (("fold_0", "fold_2"), 0, "i1 has the split 'fold_2' and there are 2 folds"),
        (("fold_1", "fold_2", "test"), 1, "i1 has the split 'fold_2' and there are 2 folds"),
        (("fold_0", "fold_01"), 0, "i1 has the split 'fold_01'"),
        (("fold_0", "test"), 0, "i0 has the split 'fold_0' and there are 1 folds"),
        (("fold_0", "fold_1"), 2, "data.fold is 2; the images are divided into 2 folds"),
        (("train", "validation"), 1, "data.fold is 1 and the images are not divided into folds"),
    ],
)
def test_splits_that_are_not_clear_are_refused(given, fold, sentence):
    with pytest.raises(InputError, match=sentence):
        resolve(*given, fold=fold)


def test_numbered_folds_get_their_names_and_a_flag_is_not_taken_for_two_of_them():
    assert split_names(["0", "2", "1", "test", ""]) == ["fold_0", "fold_2", "fold_1", "test", ""]
    with pytest.raises(InputError, match="0 and 1 alone, which may be a flag"):
        split_names(["0", "1", "1"])


def test_a_last_training_takes_the_validation_images_and_judges_on_the_test_images():
    splits = np.array(["train", "validation", "test", "train"])
    assert retraining_splits(splits).tolist() == ["train", "train", "validation", "train"]
    with pytest.raises(InputError, match="no test split to judge on"):
        retraining_splits(splits[:2])
