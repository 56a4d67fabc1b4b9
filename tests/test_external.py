"""Judging a run on labelled images that it was not made with."""

import json

import numpy as np
import pytest
from PIL import Image
from support import complain, read_rows, run_here, write_rows

from stochconv_jax.data.preparation.lesion_drawing import draw_lesion
from stochconv_jax.eval import OPTIONS
from stochconv_jax.evaluation.evaluate import evaluate
from stochconv_jax.evaluation.external import external_images, folder_table
from stochconv_jax.runs.run import Run

COUNT = 24


@pytest.fixture(scope="module")
def others(tmp_path_factory, straight):
    """Lesions of another seed, one of the run's own training files, and one of a group it knew."""
    folder = tmp_path_factory.mktemp("elsewhere")
    rows = [["file", "diagnosis", "patient"]]
    for number in range(COUNT):
        image = draw_lesion(np.random.default_rng((7, number)), 128, number % 2 == 1)
        Image.fromarray(image).save(folder / f"{number}.png")
        rows.append([f"{number}.png", ("benign", "malignant")[number % 2], f"p{number // 2}"])
    run = Run.open(straight)
    dataset = run.load_dataset()
    (trained, *_) = dataset.indices("train")
    (folder / "known.jpg").write_bytes(dataset.records[trained]["image"])
    rows.append(["known.jpg", dataset.examples[trained].label, "p90"])
    write_rows(folder / "labels.csv", rows)
    return folder


def flags(straight, others, **changed):
    options = {
        "data": others,
        "image_column": "file",
        "label_column": "diagnosis",
        "group_column": "patient",
    } | changed
    return [f"--workdir={straight}", *(f"--{name}={value}" for name, value in options.items())]


def judge(straight, others, **changed):
    options = {
        "data": str(others),
        "image_column": "file",
        "label_column": "diagnosis",
        "group_column": "patient",
    } | changed
    evaluate(Run.open(straight).config, straight, **options)


def test_a_run_is_judged_on_other_images_by_its_own_thresholds(straight, others, tmp_path, capsys):
    output = tmp_path / "judged"
    judge(straight, others, output=str(output))
    metrics = json.loads((output / "metrics.json").read_text())
    assert (metrics["split"], metrics["images"], metrics["groups"]) == ("external", COUNT, 12)
    kept = json.loads((straight / "thresholds.json").read_text())["thresholds"]
    assert {row["rule"]: row["threshold"] for row in metrics["thresholds"]} == kept
    assert metrics["class_names"] == ["benign", "malignant"]
    rows = read_rows(output / "predictions.csv")
    assert [row["id"] for row in rows] == [f"{number}.png" for number in range(COUNT)]
    (sentence,) = metrics["left_out"]
    assert (
        sentence
    ) == "1 images are the very files that the run was trained or validated on: known.jpg"
    assert f"left out: {sentence}" in capsys.readouterr().out
    page = (output / "report.html").read_text()
    assert "known.jpg" in page
    assert "evaluated on images it was not made with" in page
    # The run's own evaluation is another directory's.
    assert not (straight / f"eval_{others.name}").exists()
    judge(straight, others)
    assert (straight / f"eval_{others.name}" / "metrics.json").is_file()


def test_images_of_a_group_that_the_run_was_trained_on_are_left_out(straight, others, tmp_path):
    listed = straight / "images.csv"
    content = listed.read_text()
    rows = read_rows(listed)
    trained = next(row for row in rows if row["split"] == "train")
    listed.write_text(
        content.replace(
            f"{trained['id']},{trained['label']},{trained['group']},",
            f"{trained['id']},{trained['label']},p3,",
        )
    )
    judge(straight, others, output=str(tmp_path / "judged"))
    listed.write_text(content)
    metrics = json.loads((tmp_path / "judged" / "metrics.json").read_text())
    assert metrics["images"] == COUNT - 2
    assert "2 images belong to groups that the run was trained" in metrics["left_out"][1]
    assert "6.png (group p3), 7.png (group p3)" in metrics["left_out"][1]


def test_names_without_their_extension_are_found_as_aptos_has_them(straight, tmp_path):
    rows = [["id_code", "diagnosis"]]
    (tmp_path / "train_images").mkdir()
    for number in range(4):
        image = draw_lesion(np.random.default_rng((8, number)), 128, number % 2 == 1)
        Image.fromarray(image).save(tmp_path / "train_images" / f"0a{number}f.png")
        rows.append([f"0a{number}f", ("benign", "malignant")[number % 2]])
    write_rows(tmp_path / "train.csv", rows)
    run = Run.open(straight)
    table = folder_table(
        run, str(tmp_path / "train_images"), str(tmp_path / "train.csv"), "id_code", "diagnosis", ""
    )
    found = external_images(run, table)
    assert [example.id for example in found.dataset.examples] == [row[0] for row in rows[1:]]
    assert [example.label for example in found.dataset.examples] == [row[1] for row in rows[1:]]
    assert found.left_out == []


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"label_column": "patient"}, "has the classes p0, p1"),
        ({"label_column": "dx"}, "no column 'dx'"),
        ({"table": "no.csv"}, "'no.csv' is not a file"),
        ({"data": "nowhere"}, "--data nowhere is not a directory"),
        ({"output": "{others}/labels.csv"}, "is a file; name a directory"),
    ],
)
def test_mistakes_are_one_sentence(monkeypatch, capsys, straight, others, changed, sentence):
    changed = {name: value.format(others=others) for name, value in changed.items()}
    arguments = flags(straight, others, **changed)
    error = complain(monkeypatch, capsys, evaluate, arguments, "usage", OPTIONS)
    assert sentence in error


def test_columns_without_images_are_refused(monkeypatch, capsys, straight):
    arguments = [f"--workdir={straight}", "--table=labels.csv"]
    error = complain(monkeypatch, capsys, evaluate, arguments, "usage", OPTIONS)
    assert "is named without --data" in error
    run_here(evaluate, [f"--workdir={straight}"])
