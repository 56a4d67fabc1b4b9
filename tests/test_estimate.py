import math

import numpy as np
import pytest
from MLstatkit import Delong_test
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    roc_auc_score,
)

from stochconv_jax.evaluation import estimate
from stochconv_jax.evaluation.bootstrap import bootstrap_intervals


def two_classes(positive):
    """Returns [N, 2] from the positive class's probability."""
    return np.stack([1 - positive, positive], axis=1)


def predictions(seed, images=120, digits=2):
    """Returns labels and two correlated sets of scores, with ties."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(images) % 3 == 0).astype(int)
    common = rng.normal(size=images) + labels
    first, second = (1 / (1 + np.exp(-(common + rng.normal(size=images)))) for _ in range(2))
    return labels, first.round(digits), second.round(digits)


@pytest.mark.parametrize("seed", range(5))
def test_delong_agrees_with_another_implementation(seed):
    labels, first, second = predictions(seed)
    alone = np.arange(len(labels))
    one, other = (estimate.roc_auc(labels, two_classes(p), alone) for p in (first, second))
    _, p_value, interval, _, area, _, _ = Delong_test(labels, first, second)
    assert one.value == pytest.approx(area, abs=1e-9)
    assert one.interval(alone) == pytest.approx(interval, abs=1e-6)
    assert (one - other).p_value(alone) == pytest.approx(p_value, abs=1e-6)


def test_area_of_several_classes_is_the_mean_over_one_against_the_rest():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 4, 90), rng.dirichlet(np.ones(4), 90)
    found = estimate.roc_auc(labels, scores, np.arange(90))
    expected = roc_auc_score(np.eye(4)[labels], scores, average="macro")
    assert found.value == pytest.approx(expected)


def test_repeated_images_of_one_group_add_no_certainty():
    """What Obuchowski's estimator is for: every image thrice is no more than every image once."""
    labels, first, _ = predictions(0)
    alone = np.arange(len(labels))
    once = estimate.roc_auc(labels, two_classes(first), alone)
    thrice = estimate.roc_auc(
        np.repeat(labels, 3), two_classes(np.repeat(first, 3)), np.repeat(alone, 3)
    )
    assert thrice.value == pytest.approx(once.value)
    assert thrice.standard_error(np.repeat(alone, 3)) == pytest.approx(once.standard_error(alone))
    assert thrice.standard_error(np.arange(3 * len(labels))) < once.standard_error(alone)


@pytest.mark.parametrize("metric", [estimate.roc_auc, estimate.balanced_accuracy])
def test_standard_errors_are_the_bootstraps(metric):
    """With dependent images of both classes in a group."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(150), 2)
    labels = rng.integers(0, 2, 300)
    common = rng.normal(size=150)[groups]
    scores = two_classes(1 / (1 + np.exp(-(common + labels + rng.normal(size=300) - 0.5))))
    given = scores.argmax(axis=1) if metric is estimate.balanced_accuracy else scores
    found = metric(labels, given, groups)

    def of_rows(rows):
        return {"metric": metric(labels[rows], given[rows], np.arange(len(rows))).value}

    low, high = bootstrap_intervals(of_rows, groups, 1000)["metric"]
    assert found.interval(groups) == pytest.approx((low, high), abs=0.012)


@pytest.mark.parametrize("metric", [estimate.accuracy, estimate.quadratic_weighted_kappa])
def test_agreement_of_grades_is_scikit_learns_and_its_error_the_bootstraps(metric):
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), 2)
    grades = rng.integers(0, 5, 400)
    shift = rng.integers(-1, 2, 200)[groups] + rng.integers(-1, 2, 400)
    decisions = np.clip(grades + shift, 0, 4)
    expected = {
        estimate.accuracy: accuracy_score(grades, decisions),
        estimate.quadratic_weighted_kappa: cohen_kappa_score(
            grades, decisions, weights="quadratic"
        ),
    }
    found = metric(grades, decisions, groups)
    assert found.value == pytest.approx(expected[metric])

    def of_rows(rows):
        return {"metric": metric(grades[rows], decisions[rows], np.arange(len(rows))).value}

    low, high = bootstrap_intervals(of_rows, groups, 1000)["metric"]
    assert found.interval(groups) == pytest.approx((low, high), abs=0.012)


def test_one_grade_alone_agrees_on_nothing():
    found = estimate.quadratic_weighted_kappa(np.ones(9, int), np.ones(9, int), np.arange(9))
    assert math.isnan(found.value)


def test_means_and_differences_are_of_the_same_images():
    labels, first, second = predictions(1)
    alone = np.arange(len(labels))
    one, other = (estimate.roc_auc(labels, two_classes(p), alone) for p in (first, second))
    both = estimate.mean([one, other])
    assert both.value == pytest.approx((one.value + other.value) / 2)
    assert (one - one).p_value(alone) == 1.0
    assert (both - one).value == pytest.approx((other.value - one.value) / 2)


def test_balanced_accuracy_is_scikit_learns():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 3, 60), rng.dirichlet(np.ones(3), 60)
    found = estimate.balanced_accuracy(labels, scores.argmax(axis=1), np.arange(60))
    assert found.value == pytest.approx(balanced_accuracy_score(labels, scores.argmax(axis=1)))


def test_a_class_in_one_group_has_no_interval():
    labels = np.array([0, 0, 0, 1, 1])
    scores = two_classes(np.array([0.1, 0.2, 0.6, 0.5, 0.9]))
    found = estimate.roc_auc(labels, scores, np.array([0, 1, 2, 3, 3]))
    assert found.value == pytest.approx(5 / 6)
    assert math.isnan(found.standard_error(np.array([0, 1, 2, 3, 3])))


def test_images_without_a_group_stand_alone():
    numbers = estimate.group_numbers(["a", "", "b", "", "a"])
    assert numbers[0] == numbers[4]
    assert len(set(numbers.tolist())) == 4
