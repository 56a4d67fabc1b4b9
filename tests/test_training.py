"""From the command line to a trained, evaluated run: the real programs on tiny data."""

import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from stochconv_jax.command_line import run
from stochconv_jax.evaluation.evaluate import evaluate
from stochconv_jax.training.loop import train

ROOT = pathlib.Path(__file__).parents[1]
SMALL = {
    "data.high_size": "(128, 128)",
    "data.low_size": "(32, 32)",
    "data.synthetic_count": "40",
    "model.join": "stem",
    "train.batch_size": "8",
    "eval.batch_size": "8",
    "train.epochs": "2",
}


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture
def program(prepared):
    def start(script, config, workdir, **fields):
        fields = {"data.prepared_directory": str(prepared)} | fields
        return subprocess.Popen(
            [
                sys.executable,
                script,
                f"--config=configs/{config}.py",
                f"--workdir={workdir}",
                *(f"--config.{name}={value}" for name, value in fields.items()),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
        )

    return start


def finish(process):
    out, error = process.communicate(timeout=500)
    return process.returncode, out, error


def read_rows(workdir):
    with (workdir / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def without_times(rows):
    return [{k: v for k, v in row.items() if "second" not in k} for row in rows]


@pytest.fixture(scope="session")
def straight(tmp_path_factory, prepared):
    """A run of two epochs without interruption."""
    workdir = tmp_path_factory.mktemp("straight")
    start = program.__wrapped__(prepared)
    code, _, error = finish(start("train.py", "quickstart", workdir, **SMALL))
    assert code == 0, error
    return workdir


def test_training_leaves_what_the_contract_names(straight):
    rows = read_rows(straight)
    assert list(rows[0]) == [
        "epoch",
        "train_loss",
        "val_loss",
        "train_auc",
        "val_auc",
        "seconds",
        "images_per_second",
    ]
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert all(np.isfinite([float(value) for value in row.values()]).all() for row in rows)
    config = json.loads((straight / "config.json").read_text())
    assert config["data"]["synthetic_count"] == 40
    assert Image.open(straight / "curves.png").size[0] > 600
    assert list(straight.glob("events.out.tfevents.*"))


def test_a_killed_run_continues_as_if_nothing_had_happened(program, straight, tmp_path):
    process = program("train.py", "quickstart", tmp_path, **(SMALL | {"train.epochs": "500"}))
    while not (tmp_path / "metrics.csv").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = len(read_rows(tmp_path))
    fields = SMALL | {"train.epochs": str(max(done + 1, 2))}
    code, out, error = finish(program("train.py", "quickstart", tmp_path, **fields))
    assert code == 0, error
    assert "continuing after epoch" in out
    rows = read_rows(tmp_path)
    assert [int(row["epoch"]) for row in rows] == list(range(1, len(rows) + 1))
    assert without_times(rows[:2]) == without_times(read_rows(straight))


def test_evaluation_counts_every_image_and_repeats_to_the_bit(program, straight):
    fields = SMALL | {"eval.samples": "3", "eval.split": "all"}
    written = []
    for _ in range(2):
        code, out, error = finish(program("eval.py", "quickstart", straight, **fields))
        assert code == 0, error
        assert "roc_auc" in out
        written.append((straight / "eval" / "predictions.csv").read_bytes())
    assert written[0] == written[1]
    with (straight / "eval" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", "label", "probability", "spread"]
    assert [row["id"] for row in rows] == [f"lesion_{number:06d}" for number in range(40)]
    assert {row["label"] for row in rows} == {"benign", "malignant"}
    metrics = json.loads((straight / "eval" / "metrics.json").read_text())
    assert (metrics["images"], metrics["samples"], metrics["split"]) == (40, 3, "all")
    report = (straight / "eval" / "report.html").read_text()
    assert "data:image/png;base64," in report
    assert "http" not in report


def test_a_folder_of_several_classes_trains_and_evaluates(program, tmp_path):
    rng = np.random.default_rng(0)
    rows = [["image", "target"]]
    for number in range(30):
        pixels = rng.integers(0, 256, (70, 90, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        rows.append([f"{number}.png", f"grade {number % 3}"])
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    fields = {
        "data.directory": str(tmp_path),
        "data.high_size": "(64, 96)",
        "data.low_size": "(32, 48)",
        "model.backbone": "efficientnet_tiny",
        "train.batch_size": "8",
        "train.epochs": "1",
        "train.steps_per_epoch": "1",
        "eval.batch_size": "5",
        "eval.samples": "2",
    }
    run = tmp_path / "run"
    code, _, error = finish(
        program("train.py", "skip_b0", run, **fields | {"data.name": "image_folder"})
    )
    assert code == 0, error
    code, _, error = finish(
        program("eval.py", "skip_b0", run, **fields | {"data.name": "image_folder"})
    )
    assert code == 0, error
    with (run / "eval" / "predictions.csv").open(newline="") as file:
        predictions = list(csv.DictReader(file))
    assert len(predictions) == 6
    columns = [f"probability_grade {number}" for number in range(3)]
    for row in predictions:
        shares = [float(row[column]) for column in columns]
        assert sum(shares) == pytest.approx(1, abs=1e-5)
        assert float(row["probability"]) == pytest.approx(max(shares))


def test_a_loss_that_is_not_finite_stops_with_a_sentence(program, tmp_path):
    fields = SMALL | {"train.learning_rate": "1e30"}
    code, _, error = finish(program("train.py", "quickstart", tmp_path, **fields))
    assert code == 2
    assert "the loss became" in error
    assert "lower train.learning_rate" in error
    assert "Traceback" not in error


BAD_COMMANDS = {
    "mistyped field": ({"model.windws": "4"}, 'did you mean "windows"'),
    "mistyped section": ({"modl.windows": "4"}, 'did you mean "model"'),
    "wrong type": ({"train.epochs": "many"}, "train.epochs=many"),
    "window larger than the image": (
        {"data.low_size": "(130, 130)"},
        "a window of 131x131 pixels",
    ),
    "unknown backbone": ({"model.backbone": "resnet"}, "model.backbone is 'resnet'"),
    "bad join": ({"model.join": "neck"}, "join is 'neck'"),
    "missing directory": ({"data.name": "image_folder"}, "data.directory is empty"),
    "batch does not divide": ({"train.batch_size": "9"}, "does not divide over 4 devices"),
    "another config": (
        {"train.learning_rate": "0.5"},
        "train.learning_rate is 0.001 there and 0.5",
    ),
}


def complain(monkeypatch, capsys, function, workdir, fields):
    """Runs a program in this process and returns its complaint."""
    overrides = [f"--config.{name}={value}" for name, value in fields.items()]
    command = ["--config=configs/quickstart.py", f"--workdir={workdir}", *overrides]
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["train.py", *command])
    with pytest.raises(SystemExit) as stopped:
        run(function)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.count("error: ") == 1
    return error


@pytest.mark.parametrize("name", BAD_COMMANDS)
def test_a_users_mistake_is_one_sentence_and_exit_code_2(
    monkeypatch, capsys, prepared, straight, tmp_path, name
):
    fields, sentence = BAD_COMMANDS[name]
    workdir = straight if name == "another config" else tmp_path / "run"
    fields = SMALL | {"data.prepared_directory": str(prepared)} | fields
    assert sentence in complain(monkeypatch, capsys, train, workdir, fields)
    assert not (tmp_path / "run").exists()


def test_evaluating_what_was_not_trained_is_refused(monkeypatch, capsys, tmp_path):
    error = complain(monkeypatch, capsys, evaluate, tmp_path / "no", SMALL)
    assert "is not the directory of a run; train with train.py first" in error
    assert not (tmp_path / "no").exists()
