"""A run is a thing: what it is made with, who may write it, and what it must not go on with."""

import json
import shutil
import subprocess
import sys

import jax
import pytest
from shallow_efficientnet import TWO_BLOCKS, TWO_BLOCKS_NAME
from small_config import get_config
from support import HOLD, ROOT, SMALL, abstract, command, complain, run_here

from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.evaluate import evaluate
from stochconv_jax.keys import Purpose
from stochconv_jax.models.weights.assignment import assign
from stochconv_jax.runs.initial_weights import read_weights
from stochconv_jax.runs.run import Run
from stochconv_jax.training.loop import train


def test_a_run_knows_what_it_was_made_with(straight):
    run = Run.open(straight)
    assert run.classes == ("benign", "malignant")
    assert run.framing.size == (128, 128)
    assert run.config.is_locked
    assert run.config.data.high_size == (128, 128)
    # What "auto" became on this machine, so that another one goes on with the same.
    assert run.config.model.compute_dtype == "float32"
    rows = run.images()
    assert len(rows) == 40
    assert {row["split"] for row in rows} == {"train", "validation"}
    assert len({row["sha256"] for row in rows}) == 40
    (start, *_) = json.loads((straight / "provenance.json").read_text())["starts"]
    assert {"command", "date", "device", "versions", "revision"} <= set(start)


def test_what_auto_once_became_stays(straight, tmp_path):
    shutil.copytree(straight, tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    path.write_text(path.read_text().replace('"float32"', '"bfloat16"'))
    config = get_config().unlock()
    for name, value in SMALL.items():
        section, field = name.split(".")
        config[section][field] = value if name == "model.join" else eval(value)
    config.data.prepared_directory = Run.open(straight).config.data.prepared_directory
    assert config.model.compute_dtype == "auto"
    assert Run.open(tmp_path / "run", config).config.model.compute_dtype == "bfloat16"
    config.model.compute_dtype = "float32"
    with pytest.raises(InputError, match="compute_dtype is 'bfloat16' there and 'float32' here"):
        Run.open(tmp_path / "run", config)


def test_a_field_that_is_newer_than_a_run_may_not_change_it(straight, tmp_path):
    shutil.copytree(straight, tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    made_with = json.loads(path.read_text())
    del made_with["data"]["equal_classes"], made_with["data"]["workers"]
    path.write_text(json.dumps(made_with))
    config = Run.open(tmp_path / "run").config.copy_and_resolve_references().unlock()
    config.data.workers = 1
    Run.open(tmp_path / "run", config)
    config.data.equal_classes = True
    with pytest.raises(InputError, match="equal_classes is False there and True here"):
        Run.open(tmp_path / "run", config)


def test_every_purpose_has_keys_of_its_own(straight):
    run = Run.open(straight)
    keys = {tuple(jax.random.key_data(run.key(purpose)).tolist()) for purpose in Purpose}
    assert len(keys) == len(Purpose)


def test_two_trainings_in_one_directory_are_refused(monkeypatch, capsys, prepared, straight):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(straight)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    arguments = command("tests/small_config.py", straight, prepared, **SMALL)
    before = (straight / "config.json").stat().st_mtime_ns
    error = complain(monkeypatch, capsys, train, arguments)
    assert f"another process is training in {straight}; wait for it" in error
    assert (straight / "config.json").stat().st_mtime_ns == before
    holder.communicate("")
    run_here(train, arguments)


def test_pixels_framed_otherwise_are_other_data(monkeypatch, capsys, prepared, straight):
    """Prepared anew with another crop, the same files show the network other pixels."""
    path = straight / "data.json"
    data = json.loads(path.read_text())
    cropped = data["framing"] | {"crop_above": 2000, "crop_to": 1000}
    path.write_text(json.dumps(data | {"framing": cropped}))
    arguments = command("tests/small_config.py", straight, prepared, **SMALL)
    for program in (train, evaluate):
        error = complain(monkeypatch, capsys, program, arguments)
        assert "was trained on other data: framing is" in error
    path.write_text(json.dumps(data))


def test_moved_data_with_the_same_content_is_the_same_data(prepared, straight, tmp_path):
    shutil.copytree(prepared, tmp_path / "moved")
    arguments = command("tests/small_config.py", straight, tmp_path / "moved", **SMALL)
    run_here(evaluate, arguments)
    assert json.loads((straight / "eval" / "metrics.json").read_text())["images"] == 8


def test_a_run_is_evaluated_by_its_directory_alone(straight):
    run_here(evaluate, [f"--workdir={straight}", "--config.eval.samples=2"])
    metrics = json.loads((straight / "eval" / "metrics.json").read_text())
    assert (metrics["draws"], metrics["images"]) == (2, 8)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("config.json", None, "is not the directory of a run; train with train.py first"),
        ("config.json", "{", "config.json is damaged"),
        ("data.json", "{}", "was made by an older version; train it anew"),
        ("checkpoints", None, "holds no checkpoint"),
    ],
)
def test_a_directory_that_lacks_something_is_refused(
    monkeypatch, capsys, straight, tmp_path, name, content, sentence
):
    shutil.copytree(straight, tmp_path / "run")
    path = tmp_path / "run" / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=sentence):
        evaluate(Run.open(tmp_path / "run").config, tmp_path / "run")


def test_a_joined_run_fills_the_same_joined_network_and_no_other(straight):
    file = read_weights(str(straight))
    # As tests/support.py's SMALL makes it.
    model = abstract(TWO_BLOCKS_NAME, join="stem", windows=4, output_size=(16, 16))
    found = assign(file, TWO_BLOCKS, model, classifier=True)
    assert set(found.arrays) == set(file.arrays)
    assert "branches.stochastic.conv.kernel" in found.arrays
    with pytest.raises(InputError, match="is of another network"):
        assign(file, TWO_BLOCKS, abstract(TWO_BLOCKS_NAME, branches=("global",)))
