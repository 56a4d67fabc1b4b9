import math

import numpy as np
import pytest

from stochconv_jax.evaluation.metrics import log_loss, roc_auc, summarize


def test_auc_is_the_share_of_ordered_pairs():
    rng = np.random.default_rng(0)
    labels, scores = np.arange(60) % 2, rng.random((60, 1)).round(1)
    positive, negative = scores[labels == 1], scores[labels == 0].T
    expected = ((positive > negative) + 0.5 * (positive == negative)).mean()
    assert roc_auc(labels, scores) == pytest.approx(expected)


def test_auc_of_several_classes_is_the_mean_of_one_against_the_rest():
    labels = np.arange(30) % 3
    scores = np.random.default_rng(0).dirichlet([1, 1, 1], 30)
    expected = np.mean([roc_auc(labels == k, scores[:, [k]]) for k in range(3)])
    assert roc_auc(labels, scores) == pytest.approx(expected)
    assert math.isnan(roc_auc(labels[labels < 2], scores[labels < 2]))


def test_summary_of_a_worked_example():
    labels = np.array([1, 0, 1, 0])
    samples = np.array([[0.9, 0.7], [0.4, 0.0], [0.3, 0.3], [0.1, 0.3]])[..., None]
    summary = summarize(labels, samples)
    mean = np.array([0.8, 0.2, 0.3, 0.2])
    assert (summary["images"], summary["samples"]) == (4, 2)
    assert summary["roc_auc"] == 1.0
    assert summary["roc_auc_of_one_sample"] == pytest.approx((0.75 + 0.875) / 2)
    assert summary["brier_score"] == pytest.approx(((mean - labels) ** 2).mean())
    assert summary["log_loss"] == pytest.approx(-np.log([0.8, 0.8, 0.3, 0.8]).mean())
    assert summary["balanced_accuracy"] == pytest.approx(0.75)
    assert summary["average_precision"] == pytest.approx(1.0)


def test_log_loss_counts_classes_that_do_not_occur():
    assert log_loss(np.array([0, 0]), np.full((2, 3), 1 / 3)) == pytest.approx(np.log(3))
