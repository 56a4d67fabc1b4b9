"""Whatever stops a training, the same command goes on from its last checkpoint to the same bits."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from support import ROOT, SMALL, TOY, command, complain, read_rows, run_here, without_times

from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.evaluate import evaluate
from stochconv_jax.inference.trained_network import TrainedNetwork
from stochconv_jax.runs.checkpoint_files import find_damage
from stochconv_jax.runs.run import Run
from stochconv_jax.termination import Terminated
from stochconv_jax.training.epoch_record import EpochRecord
from stochconv_jax.training.loop import train

# Epochs of several steps, and a checkpoint at every second one of them.
LONG = SMALL | {"train.steps_per_epoch": "7", "train.checkpoint_minutes": "1e-9"}
ENOUGH = "2"


def arguments(directory, prepared, **fields):
    return command("tests/small_config.py", directory, prepared, **(LONG | fields))


def start(directory, prepared, **variables):
    """Starts a training that would take minutes."""
    fields = {"train.steps_per_epoch": "7", "train.epochs": "500"}
    return subprocess.Popen(
        [sys.executable, "train.py", *arguments(directory, prepared, **fields)],
        cwd=ROOT,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_checkpoint(process, directory, within):
    """Waits until a checkpoint is there, of a step within an epoch or of its end."""
    while True:
        assert process.poll() is None, process.communicate()
        steps = [int(path.name) for path in directory.glob("checkpoints/*") if path.name.isdigit()]
        if any((step % 7 != 0) == within for step in steps):
            return
        time.sleep(0.02)


def go_on(directory, prepared):
    """Trains at least so long as the straight run did; returns the rows of its epochs."""
    done = len(read_rows(directory / "metrics.csv")) if (directory / "metrics.csv").exists() else 0
    fields = {"train.epochs": str(max(done, int(ENOUGH)))}
    run_here(train, arguments(directory, prepared, **fields))
    return without_times(read_rows(directory / "metrics.csv"))[: int(ENOUGH)]


def parameters(directory):
    """Returns the arrays of the latest checkpoint's model."""
    config = Run.open(directory).config.copy_and_resolve_references().unlock()
    config.eval.checkpoint = "latest"
    return TrainedNetwork.restore(Run.open(directory, config.lock())).state


@pytest.fixture(scope="module")
def uninterrupted(prepared, tmp_path_factory):
    """A run of two epochs that was saved at their ends alone."""
    directory = tmp_path_factory.mktemp("runs") / "uninterrupted"
    run_here(train, arguments(directory, prepared, **{"train.checkpoint_minutes": "0"}))
    return directory


@pytest.fixture(scope="module")
def saved_within(prepared, tmp_path_factory):
    """A run of two epochs that was saved within them as well."""
    directory = tmp_path_factory.mktemp("runs") / "saved_within"
    run_here(train, arguments(directory, prepared))
    return directory


def test_checkpoints_within_an_epoch_change_nothing(uninterrupted, saved_within):
    rows = [without_times(read_rows(run / "metrics.csv")) for run in (uninterrupted, saved_within)]
    assert rows[0] == rows[1]
    jax.tree.map(np.testing.assert_array_equal, *map(parameters, (uninterrupted, saved_within)))
    assert {path.name for path in (uninterrupted / "checkpoints").iterdir()} == {"7", "14"}
    # The latest, one before it to fall back on, and the best.
    kept = {int(path.name) for path in (saved_within / "checkpoints").iterdir()}
    assert 14 in kept
    assert any(7 < step < 14 for step in kept)
    assert len(kept) <= 3


def test_a_run_killed_within_an_epoch_goes_on_within_it(prepared, uninterrupted, tmp_path, capsys):
    process = start(tmp_path, prepared)
    wait_for_checkpoint(process, tmp_path, within=True)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert go_on(tmp_path, prepared) == without_times(read_rows(uninterrupted / "metrics.csv"))
    assert re.search(r"continuing after epoch \d+", capsys.readouterr().out)
    assert not list(tmp_path.glob("checkpoints/*tmp*"))


def test_sigterm_saves_and_leaves_with_143(prepared, tmp_path):
    # Nothing is saved but for SIGTERM, which goes to the readers as well, as schedulers send it.
    fields = {"train.steps_per_epoch": "3000", "train.checkpoint_minutes": "0", "data.workers": "1"}
    words = command("tests/small_config.py:base", tmp_path, prepared, **(TOY | fields))
    process = subprocess.Popen(
        [sys.executable, "train.py", *words],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        said = ""
        while "loss=" not in said:
            said = said[-100:] + process.stderr.read(20)
        os.killpg(process.pid, signal.SIGTERM)
        said = process.stderr.read()
    assert process.returncode == 143
    found = re.search(
        r"terminated after step (\d+) of 3000 of epoch 1, which is saved; the same command", said
    )
    assert found, said
    assert "Traceback" not in said
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [found[1]]


@pytest.mark.parametrize("step", [1, 5, 6, 7])
def test_sigterm_at_any_step_is_saved_and_gone_on_from(
    step, prepared, uninterrupted, tmp_path, monkeypatch
):
    fields = {"train.checkpoint_minutes": "0"}
    add = EpochRecord.add

    def add_and_terminate(record, metrics):
        add(record, metrics)
        if record.steps == step:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(EpochRecord, "add", add_and_terminate)
        with pytest.raises(Terminated, match="of epoch 1, which is saved"):
            run_here(train, arguments(tmp_path, prepared, **fields))
    (saved,) = (tmp_path / "checkpoints").iterdir()
    # What is read is one step behind, the wish is heard one step later, and one more is made.
    assert step <= int(saved.name) <= step + 3
    with pytest.raises(InputError, match="no checkpoint of a whole epoch"):
        TrainedNetwork.restore(Run.open(tmp_path))
    run_here(train, arguments(tmp_path, prepared, **fields))
    rows = [without_times(read_rows(run / "metrics.csv")) for run in (tmp_path, uninterrupted)]
    assert rows[0] == rows[1]
    jax.tree.map(np.testing.assert_array_equal, *map(parameters, (uninterrupted, tmp_path)))


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    prepared, uninterrupted, saved_within, tmp_path, capsys
):
    shutil.copytree(saved_within, tmp_path / "run")
    checkpoint = tmp_path / "run" / "checkpoints" / "14"
    file = next((checkpoint / "optimizer").rglob("d/*"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    rows = go_on(tmp_path / "run", prepared)
    assert rows == without_times(read_rows(uninterrupted / "metrics.csv"))
    said = capsys.readouterr().out
    assert "the checkpoint of step 14 is passed over, since optimizer/" in said
    assert "continuing after epoch 1, step" in said
    assert (tmp_path / "run" / "damaged_checkpoints" / "14").is_dir()
    jax.tree.map(np.testing.assert_array_equal, *map(parameters, (uninterrupted, tmp_path / "run")))


def test_no_file_of_a_checkpoint_can_be_changed_unseen(saved_within, tmp_path):
    checkpoint = shutil.copytree(saved_within / "checkpoints" / "14", tmp_path / "14")
    assert not find_damage(checkpoint)
    checked = subprocess.run(
        ["sha256sum", "--check", "--quiet", "files.sha256"], cwd=checkpoint, check=False
    )
    assert checked.returncode == 0
    files = [path for path in checkpoint.glob("*/**/*") if path.is_file()]
    assert len(files) > 20
    for file in files:
        content = file.read_bytes()
        name = file.relative_to(checkpoint).as_posix()
        file.unlink()
        assert find_damage(checkpoint) == f"{name} is missing"
        for damaged in (content[: len(content) // 2], content[:-1] + bytes([content[-1] ^ 1])):
            file.write_bytes(damaged)
            assert find_damage(checkpoint) == f"{name} has changed since it was written"
        file.write_bytes(content)
    (checkpoint / "files.sha256").write_text("")
    assert find_damage(checkpoint) == "files.sha256 is damaged"


@pytest.mark.parametrize("item", ["metrics", "progress"])
def test_what_tells_the_best_and_the_latest_is_checked(item, saved_within, tmp_path):
    run = shutil.copytree(saved_within, tmp_path / "run")
    (file,) = (path for path in run.glob(f"checkpoints/14/{item}/*") if path.suffix != ".txt")
    file.write_text(file.read_text().replace("0", "1", 1))
    with pytest.raises(InputError, match=f"checkpoints/14 is damaged: {item}/.* has changed"):
        TrainedNetwork.restore(Run.open(run))


def test_a_lost_best_checkpoint_is_told(prepared, saved_within, tmp_path, monkeypatch, capsys):
    run = shutil.copytree(saved_within, tmp_path / "run")
    for checkpoint in (run / "checkpoints").iterdir():
        (checkpoint / "progress" / "metadata").unlink()
    areas = iter((0.75, 0.5))  # so that the first epoch is the best, whatever is learnt
    monkeypatch.setattr("stochconv_jax.training.loop.roc_auc_value", lambda *_: next(areas))
    run_here(train, arguments(run, prepared))
    assert "no checkpoint is whole, so that training begins anew" in capsys.readouterr().out
    run_here(train, arguments(run, prepared))
    assert "is lost" not in capsys.readouterr().out
    (run / "checkpoints" / "7" / "progress" / "metadata").unlink()
    run_here(train, arguments(run, prepared))
    said = capsys.readouterr().out
    assert "the best validation AUC, 0.7500, is lost; the best that is kept has 0.5000" in said


def test_a_damaged_model_is_not_evaluated(prepared, saved_within, tmp_path, monkeypatch, capsys):
    run = shutil.copytree(saved_within, tmp_path / "run")
    for file in run.glob("checkpoints/14/model/**/d/*"):
        file.write_bytes(file.read_bytes()[:-1])
    given = [f"--workdir={run}", "--config.eval.checkpoint=latest"]
    said = complain(monkeypatch, capsys, evaluate, given)
    assert re.search(r"checkpoints/14 is damaged: model/\S+ has changed", said)
    assert "use another (eval.checkpoint=best)" in said


def test_other_devices_go_on_within_an_epoch_with_the_same_to_rounding(
    prepared, uninterrupted, tmp_path
):
    flags = os.environ["XLA_FLAGS"].replace("device_count=4", "device_count=1")
    process = start(tmp_path, prepared, XLA_FLAGS=flags)
    wait_for_checkpoint(process, tmp_path, within=True)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    rows = go_on(tmp_path, prepared)
    expected = without_times(read_rows(uninterrupted / "metrics.csv"))
    for row, other in zip(rows, expected, strict=True):
        assert float(row["train_loss"]) == pytest.approx(float(other["train_loss"]), rel=1e-3)


def test_what_is_not_finite_is_named_by_step_and_images_and_never_saved(
    prepared, tmp_path, monkeypatch, capsys
):
    # Parameters overflow some steps after the first checkpoint.
    fields = {"train.optimizer": "sgd", "train.weight_decay": "10", "train.learning_rate": "10"}
    said = complain(monkeypatch, capsys, train, arguments(tmp_path, prepared, **fields))
    found = re.search(
        r"in step (\d+) \(epoch \d\), on the images (lesion_\d+(, lesion_\d+)*)", said
    )
    assert found, said
    assert "lower train.learning_rate" in said
    saved = [int(path.name) for path in tmp_path.glob("checkpoints/[0-9]*")]
    assert max(saved) < int(found[1])
    assert f"the last checkpoint, of {max(saved)} steps, is from before" in said
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(parameters(tmp_path)))


# A training that may write no file of more than so many bytes, as if the disk were full.
FULL = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
sys.argv = ["train.py", *sys.argv[1:]]
runpy.run_path("train.py", run_name="__main__")
"""


def test_a_full_disk_is_told_in_a_sentence_and_the_run_goes_on(prepared, uninterrupted, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, *arguments(tmp_path, prepared)],
        cwd=ROOT,
        env=os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false"},  # it could not be written
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert re.search(r"checkpoints\S*: File too large; the same command goes on", said[0])
    assert go_on(tmp_path, prepared) == without_times(read_rows(uninterrupted / "metrics.csv"))
