"""Whether a new network is taken, on made predictions."""

import numpy as np
import pytest
from scipy.stats import norm

from stochconv_jax.errors import InputError
from stochconv_jax.feedback.verdict import Verdict, held_out_auc


def scores(right, seed, count):
    """Labels in turn, and probabilities that are the better the larger `right`: [N, 2]."""
    labels = np.arange(count) % 2
    odds = np.random.default_rng(seed).normal(size=count) + right * (2 * labels - 1)
    positive = 1 / (1 + np.exp(-odds))
    return labels, np.stack([1 - positive, positive], axis=1)


def judge(old, new, count, margin=0.02, groups=None):
    """The verdict on (right, seed) of each network."""
    groups = np.arange(count) if groups is None else groups
    areas = []
    for right, seed in (old, new):
        areas.append(held_out_auc(*scores(right, seed, count), groups))
    return Verdict(*areas, np.arange(count) % 2, groups, margin)


def test_a_better_network_is_taken():
    verdict = judge((0.3, 1), (1.5, 2), 200)
    assert verdict.difference.value > 0.1
    assert verdict.taken
    assert verdict.sentence().endswith("which lies above -0.02: the new network is taken")


def test_an_equal_network_is_taken_only_where_the_images_tell_that_it_is_equal():
    few, many = (judge((1.0, 1), (1.0, 4), count) for count in (60, 20000))
    low, high = few.interval
    assert low < 0 < high, "nothing says that it is worse"
    assert low < -0.02, "nor that it is not"
    assert not few.taken
    assert "may be worse by more than 0.02: the old network is kept" in few.sentence()
    assert many.taken


def test_a_worse_network_is_not_taken():
    verdict = judge((1.5, 1), (0.3, 2), 200)
    assert not verdict.taken
    assert verdict.sentence().endswith("it is worse, and the old network is kept")


def test_the_same_network_is_taken_and_a_margin_of_nothing_asks_for_a_better_one():
    assert judge((1.0, 1), (1.0, 1), 200).taken
    assert not judge((1.0, 1), (1.0, 1), 200, margin=0).taken
    better = judge((0.3, 1), (1.5, 2), 200, margin=0)
    assert better.taken
    assert "which lies above 0:" in better.sentence()


def test_a_margin_is_what_it_may_be_worse_by():
    verdict = judge((1.0, 1), (0.97, 1), 20000)
    assert verdict.interval[1] < 0, "surely worse, and by less than the margin"
    assert verdict.taken


@pytest.mark.parametrize("count", [4, 20, 100])
def test_two_networks_without_a_mistake_on_few_images_are_not_known_to_be_equal(count):
    verdict = judge((40.0, 1), (40.0, 2), count)
    assert (verdict.old.value, verdict.new.value) == (1, 1)
    assert verdict.difference.standard_error(verdict.groups) == 0, "by the images alone"
    low, high = verdict.interval
    assert low == -high < -0.02
    assert "the old network is kept" in verdict.sentence()


def test_two_networks_without_a_mistake_on_many_images_are():
    assert judge((40.0, 1), (40.0, 2), 400).taken
    groups = np.arange(400) // 40
    assert not judge((40.0, 1), (40.0, 2), 400, groups=groups).taken


def test_ranks_alike_on_a_handful_of_images_are_not_known_to_be_equal():
    assert judge((0.6, 1), (0.6, 1), 12).difference.value == 0
    assert not judge((0.6, 1), (0.6, 1), 12).taken


@pytest.mark.parametrize("count", [20, 40, 100])
@pytest.mark.parametrize("areas", [(0.99, 0.97), (0.98, 0.96), (0.9, 0.88)])
def test_a_network_that_is_worse_by_the_margin_is_taken_once_in_forty_times_at_most(areas, count):
    rng = np.random.default_rng(0)
    labels, groups, taken = np.arange(count) % 2, np.arange(count), 0
    for _ in range(200):
        shared, found = rng.normal(size=count), []
        for area in areas:
            odds = np.sqrt(0.8) * shared + np.sqrt(0.2) * rng.normal(size=count)
            odds += np.sqrt(2) * norm.ppf(area) * labels
            positive = norm.cdf(odds)
            found.append(held_out_auc(labels, np.stack([1 - positive, positive], 1), groups))
        taken += Verdict(*found, labels, groups).taken
    assert taken <= 5


def test_of_several_classes_the_smallest_counts_and_the_error_is_no_less_than_the_images_say():
    labels = np.repeat([0, 1, 2], [300, 300, 6])
    groups = np.arange(len(labels))
    perfect = held_out_auc(labels, np.eye(3)[labels], groups)
    assert not Verdict(perfect, perfect, labels, groups).taken
    few = judge((1.0, 1), (1.0, 4), 2000)
    assert few.standard_error >= few.difference.standard_error(few.groups)
    assert few.standard_error == pytest.approx(
        few.difference.standard_error(few.groups), rel=0.1
    ), "where there is enough of both, DeLong's"


def test_images_of_one_group_count_as_one():
    alone = judge((1.0, 1), (1.0, 4), 4000)
    groups = np.arange(4000) // 200
    together = judge((1.0, 1), (1.0, 4), 4000, groups=groups)
    assert together.difference.value == alone.difference.value
    assert together.to_json()["groups"] == 20
    assert together.interval != alone.interval


def test_too_few_images_of_a_class_are_refused_before_any_training():
    labels, probabilities = scores(1.0, 0, 8)
    with pytest.raises(InputError, match="a class has 1 groups of images"):
        held_out_auc(labels, probabilities, np.where(labels == 1, 0, np.arange(8)))
    with pytest.raises(InputError, match="a class has 0 groups of images"):
        held_out_auc(labels[::2], probabilities[::2], np.arange(4))
