"""What `benchmarks/leak.py` says of runs whose rows are made up here."""

import csv

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from benchmarks import leak
from benchmarks.leak_plot import plot_leak
from stochconv_jax.evidence.runs import Judged, RunRecord

CLASSES = ("a", "b", "c")


@pytest.fixture
def runs(tmp_path):
    """Two seeds on 150 rows: of a 25 copies, of b 40, of c all but one; seven are one group."""
    labels = np.repeat([0, 1, 2], 50)
    copies = np.array([place % 50 < (25, 40, 49)[place // 50] for place in range(150)])
    groups = ["" if place < 143 else "g" for place in range(150)]
    with (tmp_path / "images.csv").open("w", newline="") as file:
        rows = [[f"i{n}", f"x{n}", groups[n], "validation"] for n in range(150)]
        rows += [[f"t{n}", f"x{n}", "", "train"] for n in np.flatnonzero(copies)]
        csv.writer(file).writerows([["id", "sha256", "group", "split"], *rows])
    made = []
    for seed in (0, 1):
        scores = np.random.default_rng(seed).random((150, 3))
        # Copies are known for certain, but every fifth of them.
        certain = copies & (np.arange(150) % 5 > 0)
        scores[certain, labels[certain]] += 1
        scores /= scores.sum(axis=1, keepdims=True)
        ids = tuple(f"i{n}" for n in range(150))
        judged = Judged(
            ids, tuple(groups), labels, scores, scores[:, None], CLASSES, "validation", "latest"
        )
        made.append(RunRecord(tmp_path, "m", f"seed {seed}", {}, judged=judged))
    return made


def test_a_protocols_figures_are_those_of_scikit_learn(runs):
    figures = leak.protocol_figures(runs)
    assert (figures["rows"], figures["groups"]) == (150, 144)
    assert np.mean(list(figures["recalls"].values())) == pytest.approx(
        figures["balanced_accuracy"]["mean"]
    )
    for number, run in enumerate(runs):
        labels, scores = run.judged.labels, run.judged.scores
        decisions = scores.argmax(axis=1)
        for name, expected in {
            "accuracy": accuracy_score(labels, decisions),
            "balanced_accuracy": balanced_accuracy_score(labels, decisions),
            "roc_auc": roc_auc_score(labels, scores, multi_class="ovr"),
        }.items():
            assert figures[name]["values"][number] == pytest.approx(expected)
            low, high = figures[name]["interval"]
            assert low < figures[name]["mean"] < high


def test_recalls_are_told_by_what_training_knows(runs):
    found = leak.recalls(runs)
    rows = {name: found[name]["rows"] for name in CLASSES}
    assert rows["a"] == {"copy": 25, "other": 25, "nothing": 25}
    assert rows["b"] == {"copy": 40, "other": 10, "nothing": 10}
    assert rows["c"] == {"copy": 49, "other": 1, "nothing": 1}
    right = np.mean([run.judged.scores.argmax(axis=1) == run.judged.labels for run in runs], axis=0)
    assert found["a"]["copy"] == pytest.approx(right[:25].mean())
    assert found["a"]["other"] == pytest.approx(right[25:50].mean())
    assert found["b"]["other"] == pytest.approx(right[90:100].mean())
    # Of a alone there are enough of both.
    assert "difference" not in found["b"]
    assert found["mean"]["difference"] == found["a"]["difference"] > 0.2
    low, high = found["a"]["interval"]
    variance = (right[:25].var() + right[25:50].var()) / 24
    assert (high - low) / 2 == pytest.approx(1.959964 * np.sqrt(variance))


def test_the_picture_has_copies_beside_other_rows_and_both_protocols(runs):
    figures, found = leak.protocol_figures(runs), leak.recalls(runs)
    assert "other" not in found["c"]["intervals"]  # one row
    low, high = found["a"]["intervals"]["other"]
    assert low < found["a"]["other"] < high
    models = {"net_published": figures, "net_lesions_first": figures}
    recalls, protocols = plot_leak({"models": models, "recalls": {"net_published": found}}).axes
    assert [text.get_text() for text in recalls.get_yticklabels()] == [
        "a\n25 copies, 25 others",
        "b\n40 copies, 10 others",
        "c\n49 copies, 1 others",
        "mean\nof 1 classes",
    ]
    assert recalls.get_xlabel() == "recall of validation rows"
    assert [text.get_text() for text in protocols.get_yticklabels()] == ["net"]
    (legend,) = recalls.figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["copies of training images", "other rows", "as published", "lesions first"]
