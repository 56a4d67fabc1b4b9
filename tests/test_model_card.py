"""The model card beside an exported network."""

import json
import re
import shutil

from exported_directory import export

METRICS = {
    "split": "test",
    "step": 1,
    "images": 50,
    "groups": 40,
    "draws": 4,
    "roc_auc": 0.8125,
    "roc_auc_delong_interval": [0.7, 0.9],
    "accuracy": None,
    "brier_score": 0.2,
    "intervals": {"brier_score": [0.125, 0.25]},
    "thresholds": [
        {
            "rule": "95% specificity",
            "threshold": 0.5,
            "sensitivity": 0.25,
            "sensitivity_interval": [0.125, 0.5],
            "specificity": 0.75,
            "specificity_interval": [None, None],
        }
    ],
}


def card_of(run, output, *arguments):
    return (export(run, output, "--format=safetensors", *arguments) / "README.md").read_text()


def unjudged(straight, directory):
    """Copies the run without the evaluations that other tests may have made of it."""
    shutil.copytree(straight, directory, ignore=shutil.ignore_patterns("eval*"))
    return directory


def test_the_card_tells_data_decision_limits_and_licence(straight, tmp_path):
    run = unjudged(straight, tmp_path / "run")
    card = card_of(run, tmp_path / "x", "--license=cc0-1.0")
    assert "license: cc0-1.0\n" in card
    assert "license: unknown\n" in card_of(run, tmp_path / "y")
    images = [line for line in card.splitlines() if line.startswith("| benign")]
    assert sum(int(cell) for cell in images[0].split("|")[2:-1]) == 20
    assert "malignant from a probability of" in card
    assert "nothing but drawings" in card
    assert "medical device" in card
    assert "None: the run was not evaluated" in card
    assert "{{" not in card


def evaluated(straight, directory, metrics):
    """Copies the run, with an evaluation that was kept."""
    unjudged(straight, directory)
    (directory / "eval").mkdir()
    (directory / "eval" / "metrics.json").write_text(json.dumps(metrics))
    return directory


def test_the_card_holds_the_figures_of_the_evaluation_that_was_kept(straight, tmp_path):
    card = card_of(evaluated(straight, tmp_path / "run", METRICS), tmp_path / "x")
    assert "50 images (40 groups) of the test split" in card
    assert "made with step 1, other than this file" in card
    assert "| roc_auc | 0.812 [0.700, 0.900] |" in card
    assert "| brier_score | 0.200 [0.125, 0.250] |" in card
    assert "| 95% specificity: 0.500 | 0.250 [0.125, 0.500] | 0.750 |" in card
    assert "    - type: roc_auc\n      value: 0.8125\n" in card


def test_classes_have_a_table_that_a_bar_in_a_name_does_not_break(straight, tmp_path):
    """Of more than two, an evaluation has no thresholds."""
    metrics = {name: value for name, value in METRICS.items() if name != "thresholds"}
    row = {"class": "naevus|malignant", "images": 1, "roc_auc": 0.5, "roc_auc_interval": None}
    metrics["classes"] = [row | {"sensitivity": 0.5, "specificity": 0.5}]
    run = evaluated(straight, tmp_path / "run", metrics)
    for name in ("data.json", "images.csv"):
        text = (run / name).read_text()
        (run / name).write_text(text.replace("malignant", "naevus|malignant"))
    card = card_of(run, tmp_path / "x")
    rows = [line for line in card.splitlines() if line.startswith(r"| naevus\|malignant |")]
    assert [len(re.split(r"(?<!\\)\|", line)) - 2 for line in rows] == [4, 5]
    assert "| threshold |" not in card
