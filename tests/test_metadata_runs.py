"""Runs that are given a table, beside pixels and alone: trained, evaluated, asked and exported."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from support import complain, noise, read_rows, run_here, write_rows
from toy_family import NAME

import stochconv_jax
from stochconv_jax.configs import base
from stochconv_jax.data.load import load_dataset
from stochconv_jax.data.pipeline import batches
from stochconv_jax.data.pipeline.batches import Pipeline
from stochconv_jax.demonstration.network import DemoNetwork
from stochconv_jax.demonstration.uploaded_image import UploadLimits
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.evaluate import evaluate
from stochconv_jax.evaluation.external import external_images, folder_table
from stochconv_jax.exporting.command import main as export
from stochconv_jax.exporting.standalone import Network
from stochconv_jax.feedback.store import FeedbackStore
from stochconv_jax.prediction.command import main as predict
from stochconv_jax.runs.run import Run
from stochconv_jax.training.loop import train

SEXES = ("male", "female", "")
HEADER = ["image", "target", "patient", "age_approx", "sex", "smoker"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty-four images of noise whose class is the patient's age, and their table."""
    folder = tmp_path_factory.mktemp("folder")
    rows = [HEADER]
    for number in range(24):
        Image.fromarray(noise(number, 70, 70, 3)).save(folder / f"{number}.png")
        age = "" if number == 3 else str(30 + 40 * (number % 2) + number % 5)
        rows.append([f"{number}.png", number % 2, f"p{number}", age, SEXES[number % 3], "no"])
    rows[1][-1] = "yes"
    write_rows(folder / "labels.csv", rows)
    return folder


def flags(folder, workdir, data, prepared, **fields):
    fields = {
        "data.directory": folder,
        "data.prepared_directory": prepared,
        "data.group_column": "patient",
        "data.numeric_columns": "('age',)",
        "data.category_columns": "('sex','smoker')",
        "data.validation_fraction": 0.34,
        "data.high_size": "(64, 64)",
        "data.low_size": "(64, 64)",
        "model.branches": "('metadata',)",
        "model.backbone": NAME,
        "model.batch_norm_momentum": 0.5,
        "train.batch_size": 8,
        "train.epochs": 1,
        "eval.batch_size": 8,
        "eval.resamples": 20,
    } | fields
    # Relative to the place of this file, wherever the tests are run.
    config = base.__file__
    changed = [f"--config.{name}={value}" for name, value in fields.items()]
    return [f"--config={config}:{data}", f"--workdir={workdir}", *changed]


@pytest.fixture(scope="module")
def joined(tmp_path_factory, folder):
    """A run of one epoch that sees small images and the table."""
    workdir = tmp_path_factory.mktemp("joined")
    prepared = tmp_path_factory.mktemp("prepared_joined")
    branches = {"model.branches": "('global','metadata')"}
    run_here(train, flags(folder, workdir, "folder", prepared, **branches))
    return workdir


@pytest.fixture(scope="module")
def alone(tmp_path_factory, folder):
    """A run on the table without images."""
    workdir = tmp_path_factory.mktemp("alone")
    fields = {"train.epochs": 8, "train.optimizer": "adam", "train.learning_rate": 0.01}
    run_here(train, flags(folder, workdir, "table", workdir / "none", **fields))
    return workdir


def test_it_is_fitted_on_the_training_split_alone(joined):
    run = Run.open(joined)
    dataset = run.load_dataset()
    kept = json.loads((joined / "metadata.json").read_text())
    ages = [
        float(dataset.examples[index].known["age"])
        for index in dataset.indices("train")
        if dataset.examples[index].known["age"]
    ]
    assert kept["numbers"]["age"]["mean"] == pytest.approx(np.mean(ages))
    assert kept["numbers"]["age"]["deviation"] == pytest.approx(np.std(ages))
    assert kept["categories"]["sex"] == ["female", "male"]
    assert kept["inputs"][:2] == ["age", "age missing"]


def test_batches_bring_the_row_of_their_image(joined):
    run = Run.open(joined)
    dataset = run.load_dataset()
    (batch, *_) = run.pipeline(dataset).evaluation_batches("train", 8)
    assert batch["image_low"].shape == (8, 64, 64, 3)
    assert batch["metadata"].dtype == np.float32
    rows = [dataset.examples[index] for index in batch["index"]]
    np.testing.assert_array_equal(batch["metadata"], run.metadata(rows))


def test_other_values_of_a_column_are_other_data(joined, folder, tmp_path):
    table = (folder / "labels.csv").read_text()
    (tmp_path / "labels.csv").write_text(table.replace(",71,", ",17,"))
    config = Run.open(joined).config.copy_and_resolve_references().unlock()
    config.data.table = str(tmp_path / "labels.csv")
    with pytest.raises(InputError, match="was trained on other data"):
        Run.open(joined, config).load_dataset()


def test_evaluation_and_prediction_read_the_table_as_training_did(joined, folder, tmp_path):
    run_here(evaluate, [f"--workdir={joined}", "--config.eval.split=all"])
    evaluated = {
        row["id"]: float(row["probability"]) for row in read_rows(joined / "eval/predictions.csv")
    }
    output = tmp_path / "out.csv"
    arguments = [joined, folder, "--table", folder / "labels.csv", "--output", output]
    predict([str(argument) for argument in arguments])
    rows = {row["image"].rpartition("/")[2]: row for row in read_rows(output)}
    assert len(rows) == len(evaluated) == 24
    for name, row in rows.items():
        # The images are 70x70 and were framed to 64x64 both times.
        assert float(row["probability"]) == pytest.approx(evaluated[name], abs=1e-4)
    run = stochconv_jax.load_run(joined)
    known = [{"age": age, "sex": "male", "smoker": "no"} for age in ("30", "90")]
    young, old = run.predict([folder / "0.png"] * 2, known).logits[:, 0, 0]
    assert young != old
    with pytest.raises(InputError, match="is given age, sex, smoker of each image; bring a table"):
        run.predict([folder / "0.png"])


def test_a_photograph_without_a_row_is_not_predicted(joined, folder, tmp_path, capsys):
    table = tmp_path / "some.csv"
    write_rows(table, [HEADER, ["0", "", "", "55", "unknown", "no"]])
    output = tmp_path / "out.csv"
    arguments = [joined, folder / "0.png", folder / "1.png", "--table", table, "--output", output]
    predict([str(argument) for argument in arguments])
    first, second = read_rows(output)
    assert first["decision"]
    assert second["problem"] == "the table has no row of it"
    with pytest.raises(SystemExit):
        predict([str(a) for a in (joined, folder / "1.png", "--table", table, "--output", output)])
    assert "no file has a row of the table, which names 0, and " in capsys.readouterr().err


def test_photographs_of_one_name_have_the_rows_of_their_own_paths(joined, folder, tmp_path, capsys):
    for place in "ab":
        (tmp_path / "photos" / place).mkdir(parents=True)
        picture = (folder / "0.png").read_bytes()
        (tmp_path / "photos" / place / "IMG_1.png").write_bytes(picture)
    table, output = tmp_path / "known.csv", tmp_path / "out.csv"
    arguments = [str(a) for a in (joined, tmp_path / "photos", "--table", table)]
    columns = ["image", "age", "sex", "smoker"]
    rows = [columns, ["a/IMG_1.png", "30", "male", "no"], ["b/IMG_1", "75", "male", "no"]]
    write_rows(table, rows)
    predict([*arguments, "--output", str(output)])
    young, old = (float(row["probability"]) for row in read_rows(output))
    assert young != old
    write_rows(table, [columns, ["IMG_1", "30", "male", "no"]])
    with pytest.raises(SystemExit):
        predict([*arguments, "--output", str(tmp_path / "none.csv")])
    error = capsys.readouterr().err
    assert "a/IMG_1.png and " in error
    assert "b/IMG_1.png have one row of the table, IMG_1; " in error
    assert not (tmp_path / "none.csv").exists()


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (None, "bring a table of them (--table)"),
        ([["image", "age", "sex"], ["0", "5", "male"]], "no column 'smoker', which the network"),
        ([["file", "age"], ["0", "5"]], "no column 'image'"),
        ([["image", "age", "sex", "smoker"], ["0", "old", "", ""]], "'old', which is no number"),
        ([["image"], ["0"], ["0"]], "row 3 names 0 again"),
    ],
)
def test_mistakes_in_prediction_are_one_sentence(joined, folder, tmp_path, capsys, rows, sentence):
    arguments = [joined, folder / "0.png", "--output", tmp_path / "out.csv"]
    if rows:
        write_rows(tmp_path / "known.csv", rows)
        arguments += ["--table", tmp_path / "known.csv"]
    with pytest.raises(SystemExit) as stopped:
        predict([str(argument) for argument in arguments])
    assert stopped.value.code == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def test_a_run_is_judged_on_other_images_and_their_table(joined, folder, tmp_path, capsys):
    others = tmp_path / "others"
    others.mkdir()
    rows = [HEADER]
    for number in range(8):
        Image.fromarray(noise(100 + number, 70, 70, 3)).save(others / f"{number}.png")
        rows.append([f"{number}.png", number % 2, f"q{number}", "44", "male", "often"])
    write_rows(others / "labels.csv", rows)
    judge_on(joined, others)
    assert "smoker is 'often' of 8 images" in capsys.readouterr().out
    write_rows(others / "labels.csv", [row[:3] for row in rows])
    with pytest.raises(InputError, match=r"no column 'age' or 'age_approx' or 'age_approximate'"):
        judge_on(joined, others)


def test_a_table_alone_trains_is_evaluated_and_predicted(alone, folder, tmp_path, capsys):
    run = Run.open(alone)
    assert not run.sees_pixels
    dataset = run.load_dataset()
    assert len(dataset.records) == 0
    (batch, *_) = run.pipeline(dataset).evaluation_batches("train", 8)
    assert set(batch) == {"metadata", "label", "index", "mask"}
    run_here(evaluate, [f"--workdir={alone}"])
    metrics = json.loads((alone / "eval/metrics.json").read_text())
    assert metrics["roc_auc"] > 0.9  # the age tells the class
    output = tmp_path / "out.csv"
    predict([str(a) for a in (alone, "--table", folder / "labels.csv", "--output", output)])
    assert len(read_rows(output)) == 24
    with pytest.raises(SystemExit):
        predict([str(alone), str(folder), "--table", str(folder / "labels.csv")])
    assert "reads no pixels; leave the images out" in capsys.readouterr().err


@pytest.mark.parametrize("corrected", [False, True])
def test_rows_that_trained_are_known_again_under_another_label_and_without_their_group(
    alone, folder, tmp_path, corrected
):
    run = Run.open(alone)
    rows = read_rows(folder / "labels.csv")
    strange = {**rows[0], "image": "strange", "age_approx": "47"}
    written = [HEADER, *([row[name] for name in HEADER] for row in [*rows, strange])]
    if corrected:
        written[1][1] = "1"
    write_rows(tmp_path / "labels.csv", written)
    found = external_images(run, folder_table(run, str(tmp_path), "", "", "", ""))
    own = run.load_dataset()
    unseen = [
        row.id for row, split in zip(own.examples, own.splits, strict=True) if split == "test"
    ]
    assert {row.id for row in found.dataset.examples} == {*unseen, "strange"}
    assert "are the very files that the run was trained or validated on" in found.left_out[0]


def test_from_python_a_row_for_each_image_in_which_none_is_missing(alone):
    run = stochconv_jax.load_run(alone)
    known = [{"age": nothing, "sex": "male", "smoker": "no"} for nothing in (None, "", " unknown")]
    none, *others = run.predict(["a", "b", "c"], known).logits[:, 0, 0]
    np.testing.assert_array_equal(others, [none, none])
    with pytest.raises(InputError, match="3 images and 2 rows of what is known"):
        run.predict(["a", "b", "c"], known[:2])


def test_prepared_images_are_not_decoded_for_the_table_alone(joined, monkeypatch):
    run = Run.open(joined)
    dataset = run.load_dataset()
    monkeypatch.setattr(batches, "image_of", None)
    pipeline = Pipeline(dataset, (64, 64), pixels=False, metadata=run.metadata(dataset.examples))
    assert next(pipeline.training_batches(8, 0, 0))["metadata"].shape[0] == 8


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"model.branches": "('global','metadata')"}, "which has no images"),
        ({"data.numeric_columns": "()", "data.category_columns": "()"}, "no column is named"),
        ({"data.category_columns": "('age',)"}, "name 'age' twice"),
        ({"data.category_columns": "('weight',)"}, "no column 'weight'"),
        ({"data.category_columns": "('target',)"}, "holds the classes"),
        ({"data.category_columns": "('source',)"}, "names 'source', which tells of"),
        ({"data.numeric_columns": "('width',)"}, "names 'width', which tells of"),
        ({"data.numeric_columns": "('smoker',)", "data.category_columns": "()"}, "is no number"),
        ({"data.folds": "1"}, "data.folds is 1"),
        ({"model.weights": "efficientnet_lite0"}, "which has none"),
    ],
)
def test_mistakes_are_one_sentence(monkeypatch, capsys, folder, tmp_path, fields, sentence):
    fields = {"data.numeric_columns": "('age',)", **fields}
    arguments = flags(folder, tmp_path / "run", "table", tmp_path, **fields)
    assert sentence in complain(monkeypatch, capsys, train, arguments)
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_table_is_divided_into_folds_by_group(folder):
    config = base.get_config("table")
    with config.unlocked():
        config.data.directory = str(folder)
        config.data.group_column = "patient"
        config.data.folds = 4
    seen = []
    for fold in range(4):
        config.data.fold = fold
        dataset = load_dataset(config.data)
        seen += [dataset.examples[index].id for index in dataset.indices("validation")]
    assert sorted(seen) == sorted(example.id for example in dataset.examples)


def judge_on(run, others):
    evaluate(Run.open(run).config, run, data=str(others))


def test_a_demo_asks_for_the_columns_that_its_network_is_given(joined, folder, tmp_path):
    pytest.importorskip("gradio", reason="the demo extra is not installed")
    from stochconv_jax.demonstration.page import DemoPage

    network, store = DemoNetwork.load(joined, 0.2), FeedbackStore(tmp_path / "flags", create=True)
    page = DemoPage([network], store, UploadLimits())
    labels = [each["props"].get("label") for each in page.build().config["components"]]
    assert [label for label in labels if label in network.columns] == ["age", "sex", "smoker"]
    upload = {"path": str(folder / "1.png"), "orig_name": "1.png"}
    for told, row in (
        ((40, "male", ""), {"age": "40", "sex": "male", "smoker": ""}),
        ((None, "", "yes"), {"age": "", "sex": "", "smoker": "yes"}),
    ):
        answer, _ = page.predict(upload, None, network.name, *told)
        expected = stochconv_jax.load_run(joined).predict([folder / "1.png"], [row])
        found = list(answer["probabilities"].values())
        np.testing.assert_allclose(found, expected.probabilities[0], rtol=1e-4)


@pytest.mark.parametrize("run", ["joined", "alone"])
def test_an_exported_program_is_given_the_table_as_numbers(run, request, folder, tmp_path):
    workdir, output = request.getfixturevalue(run), tmp_path / "x"
    export([str(workdir), "--format=stablehlo", f"--output={output}"])
    rows = [{"age": "30", "sex": "male", "smoker": "no"}, {"age": "", "sex": "", "smoker": "?"}]
    paths = [folder / "0.png", folder / "1.png"]
    wanted = stochconv_jax.load_run(workdir).predict(paths, rows)
    network = Network(output)
    inputs = [network.inputs(path.read_bytes(), row) for path, row in zip(paths, rows, strict=True)]
    found = network.logits(inputs)
    np.testing.assert_allclose(found, wanted.logits, rtol=1e-4, atol=1e-4)
    if run == "alone":
        known = [f"{column}={value}" for column, value in rows[0].items()]
        command = [sys.executable, "-I", output / "predict.py", "--known", *known]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        row = done.stdout.splitlines()[1].split(",")
        assert float(row[2]) == pytest.approx(wanted.probabilities[0, 1], abs=1e-5)
    export([str(workdir), "--format=safetensors", f"--output={tmp_path / 'y'}"])
    loaded = stochconv_jax.load_run(tmp_path / "y").predict(paths, rows)
    np.testing.assert_array_equal(loaded.logits, wanted.logits)
