"""Comparing runs: what they left is made up here, to know what must come out."""

import csv
import json
import pathlib
import re

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit
from sklearn.metrics import roc_auc_score
from support import cells

from benchmarks import leak
from stochconv_jax.evidence.compare import main
from stochconv_jax.evidence.comparison_tables import differences_table, draws_table, models_table
from stochconv_jax.evidence.effects import hedges_g, holm
from stochconv_jax.markdown_table import markdown_table

ROOT = pathlib.Path(__file__).parents[1]

COLUMNS = [
    "epoch",
    "train_loss",
    "val_loss",
    "train_auc",
    "val_auc",
    "seconds",
    "images_per_second",
]


def make_run(
    path,
    seed,
    noise,
    ids=range(60),
    fold=0,
    classes=("a", "b"),
    draws=3,
    checkpoint="best",
    **fields,
):
    """Leaves what a run leaves: labels are the parity of the id, scores these with some noise."""
    (path / "eval").mkdir(parents=True)
    model = {"branches": ["global", "stochastic"], **fields}
    config = {"seed": seed, "data": {"fold": fold}, "model": model, "eval": {"samples": draws}}
    cost = {"parameters": 9, "gigaflops": 0.5, "gigaflops_per_further_draw": 0.25}
    (path / "cost.json").write_text(json.dumps(cost))
    (path / "config.json").write_text(json.dumps(config))
    with (path / "metrics.csv").open("w", newline="") as file:
        rows = [[epoch, 0.7, 0.7, 0.6, 0.6 + epoch / 10 - noise / 10, 1, 10] for epoch in (1, 2, 3)]
        csv.writer(file).writerows([COLUMNS, *rows])
    rng = np.random.default_rng((seed, int(100 * noise)))
    labels = np.array([number % 2 for number in ids])
    logits = 1.2 * (labels - 0.5)[:, None] + 4 * noise * rng.normal(size=(len(labels), draws))
    mean = expit(logits).mean(axis=1)
    with (path / "eval" / "predictions.csv").open("w", newline="") as file:
        rows = [[n, classes[label], p, 0] for n, label, p in zip(ids, labels, mean, strict=True)]
        csv.writer(file).writerows([["id", "label", "probability", "spread"], *rows])
    with (path / "eval" / "images.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "group"], *([n, f"g{n // 2}"] for n in ids)])
    metrics = {"class_names": classes, "epochs": 3, "split": "test", "checkpoint": checkpoint}
    np.savez(path / "eval" / "logits.npz", logits=logits.astype(np.float32)[..., None])
    (path / "eval" / "metrics.json").write_text(json.dumps(metrics))
    return path


@pytest.fixture
def study(tmp_path):
    for seed in range(3):
        make_run(tmp_path / "study" / "good" / f"seed{seed}", seed, 0.1)
        make_run(tmp_path / "study" / "bad" / f"seed{seed}", seed, 0.6, windows=4)
    return tmp_path / "study"


def compare(*arguments):
    main([str(argument) for argument in arguments])


def complain(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        compare(*arguments)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.count("error: ") == 1
    return error


def test_a_study_is_compared_on_one_page(study, tmp_path):
    output = study / "comparison"
    for _ in range(2):  # the second time, the shell's * names the first comparison too
        compare(*study.glob("*"), "--reference", "bad", "--output", output)
    comparison = json.loads((output / "comparison.json").read_text())
    assert comparison["images"] == 60
    assert comparison["groups"] == 30
    assert comparison["models"]["good"]["runs"] == 3
    assert comparison["judged"] == {"split": "test", "checkpoint": "best"}
    (row,) = comparison["differences"]["roc_auc"]
    good, bad = (comparison["models"][name]["roc_auc"]["values"] for name in ("good", "bad"))
    assert row["difference"] == pytest.approx(np.mean(good) - np.mean(bad))
    t = (np.mean(good) - np.mean(bad)) / np.sqrt(np.var(bad, ddof=1) / 3)
    assert good == [1.0, 1.0, 1.0]
    # Welch's test, all the variance being in one of the models.
    assert row["p_over_seeds"] == pytest.approx(2 * stats.t.sf(t, 2))
    assert row["p_over_seeds_holm"] == row["p_over_seeds"]
    assert row["interval_over_images"][0] > 0
    one, two, three = comparison["models"]["bad"]["by_draws"]
    assert [one["draws"], two["draws"], three["draws"]] == [1, 2, 3]
    assert three["roc_auc"] == pytest.approx(np.mean(bad))
    assert one["gain"] == 0 < three["gain"] == pytest.approx(three["roc_auc"] - one["roc_auc"])
    assert three["gain_interval_over_images"][0] < three["gain"]
    page = (output / "comparison.html").read_text()
    assert page.count("data:image/png;base64,") == 8
    assert [point["gigaflops"] for point in (one, two, three)] == [0.5, 0.75, 1.0]
    assert "://" not in page
    assert not list(tmp_path.rglob("*.part"))


def test_fewer_draws_are_the_first_of_those_that_were_kept(study, tmp_path, capsys):
    for seed in range(3):
        # A network without windows has one draw, however many are asked for.
        plain = tmp_path / "plain" / f"seed{seed}"
        make_run(plain, seed, 0.3, draws=1, branches=["global"])
    output = tmp_path / "out"
    compare(study, tmp_path / "plain", "--draws", 2, "--output", output)
    compare(study, tmp_path / "plain", "--draws", 1, "--output", output)
    comparison = json.loads((output / "comparison.json").read_text())
    assert comparison["draws"] == 1
    assert "by the first 1 of the draws" in (output / "comparison.html").read_text()
    models = comparison["models"]
    with np.load(study / "bad" / "seed0" / "eval" / "logits.npz") as file:
        first = file["logits"][:, 0, 0]
    area = roc_auc_score(np.arange(60) % 2, first)
    assert models["bad"]["roc_auc"]["values"][0] == pytest.approx(area)
    assert "by_draws" not in models["bad"]
    error = complain(capsys, study, "--draws", 4, "--output", output)
    assert "was evaluated with 3 draws of windows and --draws is 4" in error
    assert "--draws is -1" in complain(capsys, study, "--draws", -1, "--output", output)


def test_folds_of_a_seed_are_pooled(tmp_path):
    for model, noise in (("one", 0.3), ("other", 0.5)):
        for fold in range(2):
            path = tmp_path / model / f"seed0_fold{fold}"
            make_run(path, 0, noise, ids=range(30 * fold, 30 * fold + 30), fold=fold)
    compare(tmp_path, "--output", tmp_path / "out")
    comparison = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert comparison["images"] == 60
    assert len(comparison["models"]["one"]["roc_auc"]["values"]) == 1
    assert comparison["differences"]["roc_auc"][0].get("p_over_seeds") is None


def test_published_curves_are_read_and_copies_counted_once(tmp_path):
    curve = "Epoch,Train Loss,Val Loss,Train RoC,Val RoC\n0,0,0,0,0,0\n"
    for model, best in (("base", 0.90), ("full split", 0.95)):
        directory = tmp_path / "published" / model
        directory.mkdir(parents=True)
        for number in range(3):
            rows = f"1,0,0.2,0.2,0.8,0.7\n2,1,0.1,0.1,0.9,{best + number / 1000}\n"
            rows += "3,2,0.1,0.1,0.9,0.8\n"
            (directory / f"{number}_per_epoch.csv").write_text(curve + rows)
        (directory / "copy_per_epoch.csv").write_text(curve + rows)
    compare(tmp_path / "published", "--output", tmp_path / "out")
    models = json.loads((tmp_path / "out" / "comparison.json").read_text())["models"]
    assert models["full split"]["runs"] == 3
    assert models["full split"]["best_epoch_auc"]["mean"] == pytest.approx(0.951)
    assert models["full split"]["final_epoch_auc"]["mean"] == pytest.approx(0.8)


def test_what_cannot_be_compared_is_named(study, tmp_path, capsys):
    output = ("--output", tmp_path / "out")
    other = make_run(tmp_path / "other", 0, 0.2, ids=range(2, 62))
    error = complain(capsys, study, other, *output)
    assert "(seed 0) and other (seed 0) were evaluated on other images" in error
    fewer = make_run(tmp_path / "y" / "good" / "seed7", 7, 0.1, draws=2)
    assert "with different numbers of draws" in complain(capsys, study, fewer, *output)
    unequal = make_run(tmp_path / "x" / "good" / "seed7", 7, 0.1, windows=8)
    assert "differ in more than their seed" in complain(capsys, study, unequal, *output)
    assert "is not a model; use one of bad, good" in complain(
        capsys, study, "--reference", "best", *output
    )
    assert "holds no run" in complain(capsys, study, tmp_path / "nothing", *output)
    one_class = make_run(tmp_path / "single", 0, 0.1, ids=range(0, 40, 2))
    assert "on no image of the class 'b'" in complain(capsys, one_class, *output)
    assert not (tmp_path / "out").exists()


def test_damaged_runs_are_named(study, tmp_path, capsys):
    run = study / "good" / "seed0"
    output = ("--output", tmp_path / "out")
    archive = run / "eval" / "logits.npz"
    np.savez(archive, logits=np.full((60, 3, 1), np.nan, np.float32))
    assert "logits that are NaN or infinite; run eval.py" in complain(capsys, study, *output)
    np.savez(archive, logits=np.zeros((59, 3, 1), np.float32))
    assert "does not fit predictions.csv" in complain(capsys, study, *output)
    archive.unlink()
    assert "logits.npz is missing; run eval.py again" in complain(capsys, study, *output)
    (run / "eval" / "metrics.json").unlink()
    compare(study, *output)
    assert f"left out: {run} has not been evaluated; run eval.py" in capsys.readouterr().out
    (run / "metrics.csv").unlink()
    assert "has no epoch behind it; train it" in complain(capsys, study / "bad", run, *output)
    compare(study, *output)
    assert "5 runs of 2 models" in capsys.readouterr().out
    for seed in (1, 2):
        (study / "good" / f"seed{seed}" / "eval" / "metrics.json").unlink()
    assert "no run of good can be compared" in complain(capsys, study, *output)


def test_what_was_not_evaluated_alike_is_named(study, tmp_path, capsys):
    output = ("--output", tmp_path / "out")
    latest = make_run(tmp_path / "other", 0, 0.2, checkpoint="latest")
    assert "of other (seed 0) the latest one on test; evaluate them alike" in complain(
        capsys, study, latest, *output
    )
    one_of_a_model = make_run(tmp_path / "x" / "good" / "seed7", 7, 0.1, checkpoint="latest")
    assert "on different splits or checkpoints" in complain(capsys, study, one_of_a_model, *output)
    with (study / "bad" / "seed1" / "metrics.csv").open("a") as file:
        file.write("4,0.7,0.7,0.6,0.7,1,10\n")
    assert "was evaluated after 3 epochs and has 4 now" in complain(capsys, study, *output)


def test_a_seed_that_lacks_a_fold_is_left_out(tmp_path, capsys):
    for model in ("one", "other"):
        for seed, fold in ((0, 0), (0, 1), (1, 0)):
            path = tmp_path / model / f"seed{seed}_fold{fold}"
            make_run(path, seed, 0.4, ids=range(30 * fold, 30 * fold + 30), fold=fold)
    compare(tmp_path, "--output", tmp_path / "out")
    assert "seed 1 of one lacks the folds 1" in capsys.readouterr().out
    comparison = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert len(comparison["models"]["one"]["roc_auc_within_folds"]["values"]) == 1


def test_holm_corrects_a_worked_example():
    """Holm 1979's procedure on four p-values: 0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 no less."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_hedges_g_of_a_worked_example():
    values, others = np.array([3.0, 4, 5]), np.array([1.0, 2, 3])
    g, (low, high) = hedges_g(values, others)
    # Two standard deviations, times 1 - 3 / (4 x 4 - 1).
    assert g == pytest.approx(1.6)
    assert (low + high) / 2 == pytest.approx(g)
    assert np.isnan(hedges_g(values[:1], others)[0])


DOCUMENTED = ("results", "papers")


def test_every_table_of_the_documented_results_is_that_of_a_kept_comparison():
    documented = "\n".join((ROOT / "docs" / f"{name}.md").read_text() for name in DOCUMENTED)
    files = [json.loads(path.read_text()) for path in (ROOT / "docs" / "results").glob("*.json")]
    kept = [file for file in files if "differences" in file]
    made = [make(comparison) for comparison in kept for make in (models_table, draws_table)]
    for comparison in kept:
        made += [differences_table(comparison, metric) for metric in comparison["differences"]]
    of_leak = (leak.protocols_table, leak.recalls_table)
    made += [make(file) for file in files if "recalls" in file for make in of_leak]
    tables = [cells(table) for table in made]
    found = re.findall(r"(?m)(?:^\|.*\n?)+", documented)
    assert len(found) >= 2 * len(kept) > 0
    for table in found:
        # What a paper itself says no command of ours makes.
        assert cells(table) in tables or table.startswith("| in the paper |"), table


def test_a_table_lines_up_on_a_terminal():
    assert markdown_table(["model", "n"], [["a", 1], ["longer name", 10]]).splitlines() == [
        "| model       | n   |",
        "| ----------- | --- |",
        "| a           | 1   |",
        "| longer name | 10  |",
    ]
    assert markdown_table(["model"], []).count("\n") == 1


def test_a_bar_or_a_new_line_in_a_cell_breaks_no_table():
    assert markdown_table(["a|b"], [["c\nd"]]).splitlines()[::2] == [r"| a\|b |", "| c d  |"]
