"""What judges frozen features: folds that groups do not cross, and areas within them."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.estimate import roc_auc, roc_auc_within_folds
from stochconv_jax.probing.classifier import (
    check_groups,
    draw_folds,
    out_of_fold_scores,
    telling_folds,
)


def test_no_group_stands_on_both_sides_and_every_image_is_judged_once():
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 2, 90), np.repeat(np.arange(30), 3)
    folds = draw_folds(labels, groups, 5, seed=0)
    assert all(not set(groups[fitted]) & set(groups[judged]) for fitted, judged in folds)
    assert sorted(np.concatenate([judged for _, judged in folds])) == list(range(90))


def test_features_that_tell_the_group_alone_are_worth_nothing():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(30), 4)
    labels = np.repeat(rng.permutation(np.arange(30) % 2), 4)
    features = np.eye(30)[groups] + rng.normal(0, 0.01, (120, 30))
    scores = out_of_fold_scores(features, labels, groups, draw_folds(labels, groups, 5, 0), 0)
    assert roc_auc_score(labels, scores[:, 1]) < 0.65


def test_noise_is_worth_nothing_and_areas_are_those_within_folds():
    found = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        labels, groups = np.arange(100) % 2, rng.permutation(np.repeat(np.arange(50), 2))
        features = rng.normal(size=(100, 6))
        folds = draw_folds(labels, groups, 5, seed)
        scores = out_of_fold_scores(features, labels, groups, folds, seed)
        judged = telling_folds(labels, groups, folds)
        area = roc_auc_within_folds(labels, scores, groups, judged)
        areas = [roc_auc_score(labels[own], scores[own, 1]) for own in judged]
        assert area.value == pytest.approx(np.mean(areas))
        errors = [roc_auc(labels[own], scores[own], groups[own]) for own in judged]
        variance = sum(
            e.standard_error(groups[o]) ** 2 for e, o in zip(errors, judged, strict=True)
        )
        assert area.standard_error(groups) == pytest.approx(variance**0.5 / len(judged))
        found.append(area.value)
    # Its standard error is about 0.06 / sqrt(12).
    assert abs(np.mean(found) - 0.5) < 0.04


def test_a_fold_with_one_group_of_a_class_is_left_out():
    labels, groups = np.array([0, 0, 1, 1] * 2), np.array([0, 1, 2, 3, 4, 5, 6, 6])
    folds = [(np.arange(4, 8), np.arange(4)), (np.arange(4), np.arange(4, 8))]
    (telling,) = telling_folds(labels, groups, folds)
    np.testing.assert_array_equal(telling, np.arange(4))
    with pytest.raises(InputError, match="a fold has every class in two"):
        telling_folds(labels, groups, folds[1:])


def test_several_classes_have_a_probability_each():
    rng = np.random.default_rng(2)
    labels = np.arange(90) % 3
    # More features than images.
    features = rng.normal(size=(90, 200)) + 2 * np.eye(3)[labels] @ rng.normal(size=(3, 200))
    folds = draw_folds(labels, np.arange(90), 5, seed=0)
    scores = out_of_fold_scores(features, labels, np.arange(90), folds, seed=0)
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert (scores.argmax(axis=1) == labels).mean() > 0.9


def test_classes_that_stand_in_too_few_groups_are_refused():
    labels = np.array([0] * 10 + [1] * 10)
    with pytest.raises(InputError, match="the class 'b' stands in one group alone"):
        check_groups(labels, np.r_[:10, [10] * 10], ("a", "b"))
    with pytest.raises(InputError, match="the class 'a' stands in 4 groups"):
        check_groups(labels, np.arange(20) % 4, ("a", "b"))
