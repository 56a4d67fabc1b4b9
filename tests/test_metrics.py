import csv
import math

import numpy as np
import pytest
from scipy.special import logit
from sklearn import metrics as sklearn_metrics

from stochconv_jax.data.dataset.image_dataset import Example, ImageDataset
from stochconv_jax.data.framing import Framing
from stochconv_jax.evaluation import metrics, plots
from stochconv_jax.evaluation.deferral import (
    area_under_risk,
    deferral_table,
    doubts,
    risk_coverage,
)
from stochconv_jax.evaluation.draw_curve import draw_counts, draw_curve
from stochconv_jax.evaluation.estimate import roc_auc_value
from stochconv_jax.evaluation.kept_evaluation import write_predictions
from stochconv_jax.evaluation.metrics import log_loss
from stochconv_jax.evaluation.subgroups import subgroup_table
from stochconv_jax.evaluation.summary import summarize
from stochconv_jax.evaluation.thresholds import choose_thresholds, judge_thresholds
from stochconv_jax.inference.predict import Predictions
from stochconv_jax.inference.probabilities import class_probabilities


def two_classes(positive):
    return np.stack([1 - positive, positive], axis=-1)


def test_auc_is_scikit_learns_and_the_share_of_ordered_pairs():
    rng = np.random.default_rng(0)
    labels, scores = np.arange(60) % 2, rng.random(60).round(1)
    positive, negative = scores[labels == 1, None], scores[labels == 0]
    expected = ((positive > negative) + 0.5 * (positive == negative)).mean()
    found = roc_auc_value(labels, two_classes(scores))
    assert found == pytest.approx(expected, abs=1e-12)
    assert found == pytest.approx(sklearn_metrics.roc_auc_score(labels, scores), abs=1e-12)


def test_auc_of_several_classes_is_the_mean_of_one_against_the_rest():
    labels = np.arange(30) % 3
    scores = np.random.default_rng(0).dirichlet([1, 1, 1], 30)
    expected = np.mean([sklearn_metrics.roc_auc_score(labels == k, scores[:, k]) for k in range(3)])
    assert roc_auc_value(labels, scores) == pytest.approx(expected, abs=1e-12)
    assert math.isnan(roc_auc_value(labels[labels < 2], scores[labels < 2]))


def test_confident_positives_are_ranked_like_confident_negatives():
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    logits = (1.2 * (labels - 0.5) + rng.normal(size=400)).astype(np.float32)
    areas = [
        roc_auc_value(labels, class_probabilities((logits + shift)[:, None]))
        for shift in (-20, 0, 20)
    ]
    assert areas == pytest.approx([areas[1]] * 3, abs=1e-4)


@pytest.mark.parametrize("nats", [17, 50, 500])
def test_a_confident_error_costs_its_logit(nats):
    for label in (0, 1):
        wrong = np.array([[nats if label == 0 else -nats]], np.float32)
        found = log_loss(np.array([label]), class_probabilities(wrong))
        assert found == pytest.approx(nats, rel=1e-7)
    several = np.array([[0, nats, 0]], np.float32)
    assert log_loss(np.array([0]), class_probabilities(several)) == pytest.approx(nats, rel=1e-6)


def test_the_loss_stays_finite():
    assert log_loss(np.array([0]), class_probabilities(np.array([[5000.0]]))) > 700


def predictions_of(labels, positive):
    """Returns predictions from the positive class's probabilities, [N, K]."""
    return Predictions(np.arange(len(labels)), labels, logit(positive)[..., None])


def test_summary_of_a_worked_example():
    labels = np.array([1, 0, 1, 0])
    positive = np.array([[0.9, 0.7], [0.4, 1e-9], [0.3, 0.3], [0.1, 0.3]])
    examples = [Example(str(number), "ba"[label], "", "") for number, label in enumerate(labels)]
    summary = summarize(predictions_of(labels, positive), examples, ("b", "a"), None, 20)
    mean = np.array([0.8, 0.2, 0.3, 0.2])
    assert (summary["images"], summary["groups"], summary["draws"]) == (4, 4, 2)
    assert summary["roc_auc"] == 1.0
    assert summary["roc_auc_of_one_draw"] == pytest.approx((0.75 + 0.875) / 2)
    assert summary["brier_score"] == pytest.approx(((mean - labels) ** 2).mean())
    assert summary["log_loss"] == pytest.approx(-np.log([0.8, 0.8, 0.3, 0.8]).mean())
    assert summary["balanced_accuracy"] == pytest.approx(0.75)
    assert summary["average_precision"] == pytest.approx(1.0)
    assert summary["confusion"] == [[2, 0], [1, 1]]
    assert summary["decision_threshold"] == 0.5
    assert summary["thresholds"] == []


def test_log_loss_counts_classes_that_do_not_occur():
    assert log_loss(np.array([0, 0]), np.full((2, 3), 1 / 3)) == pytest.approx(np.log(3))


def test_partial_area_is_what_lies_above_80_percent_sensitivity():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    scores = labels + rng.normal(0, 1.2, 400)
    false, true, _ = sklearn_metrics.roc_curve(labels, scores, drop_intermediate=False)
    grid = np.linspace(0, 1, 200_001)
    # The curve is a staircase: it rises where positives come, and moves right where negatives do.
    heights = true[np.searchsorted(false, grid, side="right") - 1]
    expected = np.maximum(heights - 0.8, 0).mean()
    assert metrics.partial_auc(labels, scores) == pytest.approx(expected, abs=1e-4)
    assert metrics.partial_auc(labels, labels.astype(float)) == pytest.approx(0.2)
    assert metrics.partial_auc(labels, np.zeros(400)) == pytest.approx(0.02)


def test_calibration_error_of_a_worked_example():
    # Two in the bin of 0.1 of which one is positive; two in that of 0.8, both positive.
    scores = two_classes(np.array([0.1, 0.1, 0.8, 0.8]))
    expected = (2 * abs(0.1 - 0.5) + 2 * abs(0.8 - 1)) / 4
    assert metrics.calibration_error(np.array([0, 1, 1, 1]), scores) == pytest.approx(expected)
    several = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])
    assert metrics.calibration_error(np.array([0, 0]), several) == pytest.approx(0.7 - 0.5)


def test_grades_are_consecutive_whole_numbers():
    assert metrics.are_ordered(("0", "1", "2", "3"))
    assert not metrics.are_ordered(("0", "1"))
    assert not metrics.are_ordered(("1", "2", "4"))
    assert not metrics.are_ordered(("mild", "moderate", "severe"))


def test_kappa_of_grades_weighs_far_errors_more():
    labels = np.arange(30) % 3
    near, far = np.eye(3)[(labels > 0) * 1], np.eye(3)[np.where(labels == 0, 2, labels)]
    kappas = [
        metrics.compute_metrics(labels, scores, scores.argmax(axis=1), ordered=True)[
            "quadratic_weighted_kappa"
        ]
        for scores in (np.eye(3)[labels], near, far)
    ]
    assert kappas[0] == pytest.approx(1.0)
    assert kappas[0] > kappas[1] > kappas[2]


def test_accuracy_and_kappa_of_grades_have_intervals_and_stand_in_the_table():
    rng = np.random.default_rng(0)
    labels = rng.choice(5, 200, p=[0.6, 0.1, 0.15, 0.05, 0.1])
    logits = 2 * np.eye(5)[labels] + rng.normal(0, 1, (200, 5))
    predictions = Predictions(np.arange(200), labels, logits[:, None])
    examples = [Example(str(n), str(label), f"p{n // 2}", "") for n, label in enumerate(labels)]
    summary = summarize(predictions, examples, ("0", "1", "2", "3", "4"), None, 50)
    decisions = logits.argmax(axis=1)
    assert summary["accuracy"] == pytest.approx((decisions == labels).mean())
    table = np.array(summary["confusion"], float)
    weights = (np.arange(5)[:, None] - np.arange(5)) ** 2
    chance = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    kappa = 1 - (weights * table).sum() / (weights * chance).sum()
    assert summary["quadratic_weighted_kappa"] == pytest.approx(kappa)
    for name in ("accuracy", "quadratic_weighted_kappa"):
        low, high = summary["intervals"][name]
        assert low < summary[name] < high < low + 0.35
    sources = [f"eyepacs_{'public' if n < 80 else 'private'}" for n in range(200)]
    examples = [e._replace(known={"source": s}) for e, s in zip(examples, sources, strict=True)]
    rows = summarize(predictions, examples, ("0", "1", "2", "3", "4"), None, 20)["subgroups"]
    assert {row["value"]: row["accuracy"] for row in rows} == {
        "eyepacs_public": pytest.approx((decisions == labels)[:80].mean()),
        "eyepacs_private": pytest.approx((decisions == labels)[80:].mean()),
    }
    named = summarize(predictions, examples, ("none", "a", "b", "c", "d"), None, 20)
    assert "quadratic_weighted_kappa" not in named
    assert named["accuracy"] == summary["accuracy"]


def test_many_classes_show_the_hardest_and_a_confusion_of_readable_size():
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 40
    scores = np.eye(40)[labels] * (labels[:, None] >= 10) + rng.uniform(0, 0.5, (400, 40))
    classes = [f"class {number:02d}" for number in range(40)]
    roc, precision, probabilities = plots.plot_curves(labels, scores, classes).axes
    for axes in (roc, precision, probabilities):
        shown = {text.get_text()[-8:] for text in axes.get_legend().get_texts()} - {"guessing"}
        assert len(axes.get_legend().get_texts()) <= 11, shown
    listed = [text.get_text() for text in roc.get_legend().get_texts()]
    assert set(listed) - {"guessing"} == set(classes[:10])
    confusion = plots.plot_confusion(np.eye(40, dtype=int).tolist(), classes)
    assert max(confusion.get_size_inches()) < 16


def test_thresholds_are_kept_when_other_images_are_judged():
    labels = np.repeat([0, 1], 20)
    validation = np.concatenate([np.linspace(0, 0.5, 20), np.linspace(0.4, 0.9, 20)])
    thresholds = choose_thresholds(labels, validation)
    specific = thresholds["95% specificity"]
    assert (validation[labels == 0] >= specific).sum() == 1
    assert (validation[labels == 1] >= thresholds["95% sensitivity"]).sum() == 19
    row = judge_thresholds(np.array([0, 0, 1, 1]), np.array([0.1, 0.9, 0.4, 0.9]), thresholds)[0]
    assert row["threshold"] == specific
    assert (row["specificity"], row["sensitivity"]) == (0.5, 0.5)
    low, high = row["sensitivity_interval"]
    # Wilson's interval of one in two, by its formula.
    z2 = 1.959964**2
    assert (low + high) / 2 == pytest.approx(0.5)
    assert high - low == pytest.approx(2 * math.sqrt(z2 * 2 / 4 + z2**2 / 4) / (2 + z2), abs=1e-6)


def test_risk_and_coverage_of_a_worked_example():
    doubt, wrong = np.array([0.1, 0.4, 0.2, 0.3]), np.array([0, 1, 0, 1])
    coverage, risk = risk_coverage(doubt, wrong)
    np.testing.assert_allclose(coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(risk, [0, 0, 1 / 3, 0.5])
    assert area_under_risk(doubt, wrong) == pytest.approx((1 / 3 + 0.5) / 4)
    assert area_under_risk(np.zeros(4), wrong) == pytest.approx(0.5)


def test_what_is_deferred_is_the_most_doubtful():
    probabilities = two_classes(np.array([[0.9, 0.9], [0.9, 0.1], [0.2, 0.2], [0.1, 0.1]]))
    measures = doubts(probabilities)
    assert measures["spread"].argmax() == 1
    assert measures["confidence"].argmax() == 1
    labels = np.array([1, 0, 0, 0])
    rows = deferral_table(labels, np.array([1, 1, 0, 0]), measures, 2)
    kept = {row["deferred"]: row for row in rows if row["doubt"] == "spread"}
    assert kept[0.0]["specificity"] == pytest.approx(2 / 3)
    assert (kept[0.3]["images_left"], kept[0.3]["specificity"]) == (3, 1.0)
    assert "spread" not in doubts(probabilities[:, :1])


def test_averaging_draws_of_pure_noise_gains_what_it_should():
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    draws = 1 / (1 + np.exp(-(labels[:, None] - 0.5 + 2 * rng.normal(size=(400, 12)))))
    rows = draw_curve(labels, two_classes(draws), np.arange(400), 100)
    assert [row["draws"] for row in rows] == draw_counts(12) == [1, 2, 4, 8, 12]
    areas = [row["roc_auc"] for row in rows]
    assert areas == sorted(areas)
    assert rows[0]["gain_interval"] == (0, 0)
    assert rows[-1]["gain_interval"][0] > 0
    assert rows[0]["roc_auc"] == pytest.approx(
        np.mean([roc_auc_value(labels, two_classes(draws[:, draw])) for draw in range(12)])
    )
    for row in rows:
        assert row["brier_score_interval"][0] < row["brier_score"] < row["brier_score_interval"][1]


def test_subgroups_are_told_apart_by_what_is_known():
    labels = np.arange(80) % 2
    right = np.arange(80) < 40
    positive = np.where(right, labels, 1 - labels) * 0.8 + 0.1
    known = [
        {"sex": "female" if right[n] else "male", "age": str(20 + n), "width": "8", "height": "8"}
        for n in range(80)
    ]
    known[0]["age"], known[1]["age"] = "[40-45]", ""
    rows = subgroup_table(
        labels, two_classes(positive), (positive > 0.5).astype(int), np.arange(80), known
    )
    found = {(row["field"], row["value"]): row for row in rows}
    assert found["sex", "female"]["roc_auc"] == 1.0
    assert found["sex", "male"]["roc_auc"] == 0.0
    assert found["age", "under 40"]["images"] == 18
    assert found["age", "unknown"]["images"] == 2
    assert math.isnan(found["age", "unknown"]["roc_auc"])
    assert math.isnan(found["age", "unknown"]["balanced_accuracy"])
    assert {field for field, _ in found} == {"sex", "age"}


def test_a_sure_negative_counts_as_sure_where_the_threshold_is_low():
    probabilities = two_classes(np.array([[0.001], [0.03], [0.08]]))
    assert doubts(probabilities, threshold=0.04)["confidence"].argmin() == 0


def test_the_predictions_file_loses_no_rank(tmp_path):
    logits = np.linspace(19, 21, 50).astype(np.float32)
    examples = tuple(Example(f"i{n}", "ab"[n % 2], "", "") for n in range(50))
    dataset = ImageDataset([], examples, ("a", "b"), np.full(50, "test"), Framing((2, 2), (1, 1)))
    predictions = Predictions(np.arange(50), np.arange(50) % 2, logits[:, None, None])
    write_predictions(tmp_path / "predictions.csv", dataset, predictions)
    with (tmp_path / "predictions.csv").open(newline="") as file:
        written = [float(row["probability"]) for row in csv.DictReader(file)]
    assert (np.diff(written) > 0).all()
