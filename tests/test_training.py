"""From the command line to a trained, evaluated run: the real programs on tiny data."""

import csv
import json
import os
import signal
import struct
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from PIL import Image
from shallow_efficientnet import TWO_BLOCKS_NAME
from support import (
    ROOT,
    SMALL,
    TOY,
    command,
    complain,
    noise_image,
    read_rows,
    run_here,
    without_times,
)

from stochconv_jax.evaluation.evaluate import evaluate
from stochconv_jax.inference.trained_network import TrainedNetwork
from stochconv_jax.runs.run import Run
from stochconv_jax.training.event_file import scalar_record
from stochconv_jax.training.loop import train


def test_training_leaves_what_the_contract_names(straight):
    rows = read_rows(straight / "metrics.csv")
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
    with Image.open(straight / "curves.png") as picture:
        assert picture.size[0] > 600
    assert list(straight.glob("events.out.tfevents.*"))


def test_a_killed_run_continues_as_if_nothing_had_happened(prepared, straight, tmp_path):
    fields = SMALL | {"train.epochs": "500"}
    process = subprocess.Popen(
        [
            sys.executable,
            "train.py",
            *command("tests/small_config.py", tmp_path, prepared, **fields),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "metrics.csv").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = len(read_rows(tmp_path / "metrics.csv"))
    epochs = str(max(done + 1, 2))
    fields = SMALL | {"train.epochs": epochs}
    run_here(train, command("tests/small_config.py", tmp_path, prepared, **fields))
    rows = read_rows(tmp_path / "metrics.csv")
    assert [row["epoch"] for row in rows] == [str(n) for n in range(1, int(epochs) + 1)]
    assert without_times(rows[:2]) == without_times(read_rows(straight / "metrics.csv"))


def test_a_fine_tuning_goes_on_to_the_bit_and_its_average_is_what_is_evaluated(prepared, tmp_path):
    fields = TOY | {
        "train.optimizer": "adamw",
        "train.weight_decay": "0.05",
        "train.schedule": "plateau",
        "train.plateau_patience": "1",
        "train.average_decay": "0.9",
        "train.learning_rate": "0.01",
        "eval.checkpoint": "latest",
    }
    rows, states = [], []
    for name, stops in (("straight", "2"), ("stopped", "12")):
        for epochs in stops:
            arguments = command("tests/small_config.py:base", tmp_path / name, prepared, **fields)
            run_here(train, [*arguments, f"--config.train.epochs={epochs}"])
        rows.append(without_times(read_rows(tmp_path / name / "metrics.csv")))
        states.append(TrainedNetwork.restore(Run.open(tmp_path / name)).state)
    assert rows[0] == rows[1]
    jax.tree.map(np.testing.assert_array_equal, *states)
    run_here(evaluate, arguments)
    metrics = json.loads((tmp_path / "stopped" / "eval" / "metrics.json").read_text())
    # One draw of a network that draws nothing: what validation saw, which was the average.
    assert metrics["log_loss"] == pytest.approx(float(rows[1][-1]["val_loss"]), rel=1e-5)


def test_evaluation_counts_every_image_and_repeats_to_the_bit(prepared, straight, capsys):
    fields = SMALL | {"eval.samples": "3", "eval.split": "all"}
    written = []
    for _ in range(2):
        run_here(evaluate, command("tests/small_config.py", straight, prepared, **fields))
        written.append((straight / "eval" / "predictions.csv").read_bytes())
    assert written[0] == written[1]
    assert "roc_auc" in capsys.readouterr().out
    with (straight / "eval" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", "label", "probability", "spread"]
    assert [row["id"] for row in rows] == [f"lesion_{number:06d}" for number in range(40)]
    assert {row["label"] for row in rows} == {"benign", "malignant"}
    metrics = json.loads((straight / "eval" / "metrics.json").read_text())
    assert (metrics["images"], metrics["draws"], metrics["split"]) == (40, 3, "all")
    report = (straight / "eval" / "report.html").read_text()
    assert "data:image/png;base64," in report
    assert "://" not in report


def test_a_run_can_be_evaluated_on_another_number_of_devices(prepared, straight):
    arguments = command("tests/small_config.py", straight, prepared, **SMALL)
    flags = os.environ["XLA_FLAGS"].replace("device_count=4", "device_count=1")
    done = subprocess.run(
        [sys.executable, "eval.py", *arguments],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads((straight / "eval" / "metrics.json").read_text())
    best = max(float(row["val_auc"]) for row in read_rows(straight / "metrics.csv"))
    assert (metrics["images"], metrics["split"]) == (8, "validation")
    assert metrics["roc_auc"] == pytest.approx(best, abs=0.4)


def test_a_folder_of_several_classes_trains_and_evaluates(tmp_path):
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
        "model.backbone": TWO_BLOCKS_NAME,
        "train.batch_size": "8",
        "train.epochs": "1",
        "train.steps_per_epoch": "1",
        "eval.batch_size": "5",
        "eval.resamples": "20",
    }
    arguments = command("configs/b0.py:folder", tmp_path / "run", tmp_path / "prepared", **fields)
    run_here(train, arguments)
    run_here(evaluate, arguments)
    with (tmp_path / "run" / "eval" / "predictions.csv").open(newline="") as file:
        predictions = list(csv.DictReader(file))
    assert len(predictions) == 6
    columns = [f"probability_grade {number}" for number in range(3)]
    for row in predictions:
        shares = [float(row[column]) for column in columns]
        assert sum(shares) == pytest.approx(1, abs=1e-5)
        assert float(row["probability"]) == pytest.approx(max(shares))


BAD_COMMANDS = {
    "mistyped field": ({"model.windws": "4"}, 'did you mean "windows"'),
    "mistyped section": ({"modl.windows": "4"}, 'did you mean "model"'),
    "no such field": ({"data.zzz": "4"}, "has no field 'zzz'; see"),
    "wrong type": ({"train.epochs": "many"}, "train.epochs=many"),
    "window larger than the image": (
        {"data.low_size": "(128, 128)"},
        "a window of 129x129 pixels",
    ),
    "window of another size before the head": (
        {"model.window_size": "(16, 16)"},
        "join at 'head', or leave model.window_size at (0, 0)",
    ),
    "unknown backbone": ({"model.backbone": "resnet"}, "model.backbone is 'resnet'"),
    "bad join": ({"model.join": "neck"}, "join is 'neck'"),
    "missing directory": ({"data.name": "image_folder"}, "data.directory is empty"),
    "negative number": ({"train.steps_per_epoch": "-1"}, "it must be 0 or more"),
    "nothing that learns": (
        {"model.branches": "('global',)", "train.backbone_rate": "0", "train.head_rate": "0"},
        "nothing would learn",
    ),
    "warm-up without end": ({"train.warmup_epochs": "2.0"}, "must be less than train.epochs, 2"),
    "one size": ({"data.low_size": "(32,)"}, "it must be two whole numbers, (height, width)"),
    "low larger than high": (
        {"model.branches": "('global',)", "data.low_size": "(256, 256)"},
        "is larger than data.high_size",
    ),
    "bad axes": ({"model.axes": "both"}, "axes is 'both'"),
    "bad sample count": ({"eval.samples": "0"}, "eval.samples is 0; it must be 1 or more"),
    "batch does not divide": ({"train.batch_size": "9"}, "does not divide over 4 devices"),
    "another config": (
        {"train.learning_rate": "0.5"},
        "train.learning_rate is 0.001 there and 0.5",
    ),
}


@pytest.mark.parametrize("name", BAD_COMMANDS)
def test_a_users_mistake_is_one_sentence_and_exit_code_2(
    monkeypatch, capsys, prepared, straight, tmp_path, name
):
    fields, sentence = BAD_COMMANDS[name]
    workdir = straight if name == "another config" else tmp_path / "run"
    arguments = command("tests/small_config.py", workdir, prepared, **(SMALL | fields))
    assert sentence in complain(monkeypatch, capsys, train, arguments)
    assert not (tmp_path / "run").exists()


BAD_FOLDERS = {
    "missing table": (None, {}, "data.table (prepare: --table) 'labels.csv' is not a file"),
    "missing column": ("image,dx\n0.png,a\n", {}, "no column 'target'"),
    "absent images": ("image,target\n8.png,a\n9.png,b\n", {}, "can be used: no such file"),
    "one class": ("image,target\n0.png,a\n1.png,a\n", {}, "one class only (a)"),
    "look-alikes": (
        "image,target\n0.png,a\n0.png,b\n1.png,a\n",
        {},
        "2 of 3 images look like one of another class",
    ),
    "unreadable image": (None, {"data.table": "bad.csv"}, "one class only (a)"),
    "crossing group": (
        None,
        {"data.table": "crossing.csv"},
        "1 groups stand in more than one split (p)",
    ),
    "missing class": (None, {"data.table": "missing.csv"}, "the validation split has no image of"),
}


@pytest.fixture(scope="session")
def bad_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    for number in range(4):
        noise_image(number).save(folder / f"{number}.png")
    (folder / "bad.png").write_text("<html>")
    (folder / "bad.csv").write_text("image,target\n0.png,a\n1.png,a\nbad.png,b\n")
    header = "image,target,group,fold\n"
    rows = ["0.png,a,p,train", "1.png,b,q,train", "2.png,a,p,validation", "3.png,b,r,validation"]
    (folder / "crossing.csv").write_text(header + "\n".join(rows))
    (folder / "missing.csv").write_text(header + "\n".join(rows[:3]).replace(",p,v", ",o,v"))
    return folder


@pytest.mark.parametrize("name", BAD_FOLDERS)
def test_data_that_cannot_be_used_are_one_sentence_and_exit_code_2(
    monkeypatch, capsys, bad_folder, tmp_path, name
):
    table, fields, sentence = BAD_FOLDERS[name]
    folder = bad_folder
    if not fields:
        folder = tmp_path / "images"
        folder.mkdir()
        for number in range(2):
            noise_image(number).save(folder / f"{number}.png")
    if table is not None:
        (folder / "labels.csv").write_text(table)
    if "crossing" in name or ("class" in name and fields):
        fields = fields | {"data.group_column": "group", "data.split_column": "fold"}
    fields = SMALL | {"data.name": "image_folder", "data.directory": str(folder)} | fields
    arguments = command("tests/small_config.py", tmp_path / "run", tmp_path / "prepared", **fields)
    assert sentence in complain(monkeypatch, capsys, train, arguments)
    assert not (tmp_path / "run").exists()


def test_a_run_does_not_go_on_with_other_data(monkeypatch, capsys, prepared, straight):
    fields = SMALL | {"data.synthetic_seed": "0"}
    arguments = command("tests/small_config.py", straight, prepared, **fields)
    data = json.loads((straight / "data.json").read_text())
    (straight / "data.json").write_text(json.dumps(data | {"images": 39}))
    error = complain(monkeypatch, capsys, train, arguments)
    (straight / "data.json").write_text(json.dumps(data))
    assert "was trained on other data: images is 39 there and 40 here" in error


def test_evaluating_what_was_not_trained_is_refused(monkeypatch, capsys, prepared, tmp_path):
    arguments = command("tests/small_config.py", tmp_path / "no", prepared, **SMALL)
    error = complain(monkeypatch, capsys, evaluate, arguments)
    assert "is not the directory of a run; train with train.py first" in error
    assert not (tmp_path / "no").exists()


def test_the_events_are_tensorboards(straight):
    # Here, since it imports PyTorch.
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    (path,) = straight.glob("events.out.tfevents.*")
    content, events = path.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        for start, end in ((0, 8), (12, 12 + length)):
            (checksum,) = struct.unpack("<I", content[end : end + 4])
            assert checksum == masked_crc32c(content[start:end])
        events.append(Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    assert events[0].file_version == "brain.Event:2"
    found = [(e.step, v.tag, v.simple_value) for e in events[1:] for v in e.summary.value]
    rows = read_rows(straight / "metrics.csv")
    assert [(step, tag) for step, tag, _ in found] == [
        (int(row["epoch"]), name) for row in rows for name in list(row)[1:]
    ]
    assert found[0][2] == pytest.approx(float(rows[0]["train_loss"]))
    assert all(abs(event.wall_time - path.stat().st_mtime) < 3600 for event in events)
    later = Event.FromString(scalar_record("a" * 300, -0.5, 70_000, 2.0)[12:-4])
    assert (later.step, later.wall_time) == (70_000, 2.0)
    (value,) = later.summary.value
    assert (value.tag, value.simple_value) == ("a" * 300, -0.5)
