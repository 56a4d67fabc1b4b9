"""Training once more with corrected images: taken, rejected, killed, and what it must not touch."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from feedback_folder import lesion, write_folder
from support import HOLD, ROOT, TOY, command, read_rows, run_here, without_times

from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.evaluate import evaluate
from stochconv_jax.feedback.retrain_command import main
from stochconv_jax.prediction.predictor import load_run
from stochconv_jax.runs.checkpoints import Checkpoints
from stochconv_jax.runs.run import Run
from stochconv_jax.training.loop import train


def retrain(run, folder, output, *more):
    main([str(run), f"--feedback={folder}", f"--output={output}", *map(str, more)])


def content(directory):
    """Everything in a directory, by its path within."""
    return {
        path.relative_to(directory): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def old(prepared, tmp_path_factory):
    """A run that stays where it began, as one by its recipe will: no luck makes either better."""
    directory = tmp_path_factory.mktemp("runs") / "old"
    fields = TOY | {"train.learning_rate": "1e-6"}
    run_here(train, command("tests/small_config.py", directory, prepared, **fields))
    return directory


@pytest.fixture(scope="module")
def folder(old, tmp_path_factory):
    """Eight corrected lesions, and one that the run is judged on."""
    dataset = Run.open(old).load_dataset()
    judged = dataset.indices("validation")[0]
    images = {f"{n}.png": (lesion(n), ("benign", "malignant")[n % 2]) for n in range(8)}
    images["judged.jpg"] = (dataset.records[judged]["image"], "benign")
    return write_folder(tmp_path_factory.mktemp("feedback") / "export", images)


@pytest.fixture(scope="module")
def taken(old, folder):
    """A new run that may be far worse, and is taken."""
    before = content(old)
    output = old.parent / "taken"
    retrain(old, folder, output, "--margin=0.9", "--config.eval.samples=2")
    assert content(old) == before, "the old run is what it was"
    return output


def test_the_new_run_is_an_ordinary_run_of_old_and_corrected_images(old, taken, folder):
    assert not taken.with_name("taken.candidate").exists()
    rows = read_rows(taken / "images.csv")
    assert rows[:40] == read_rows(old / "images.csv")
    assert [row["id"] for row in rows[40:]] == [f"images/{n}.png" for n in range(8)]
    assert {row["split"] for row in rows[40:]} == {"train"}
    config = Run.open(taken).config
    assert config.data.feedback == (str(folder),)
    assert config.train == Run.open(old).config.train
    assert len(read_rows(taken / "metrics.csv")) == 2
    (found,) = load_run(taken).predict([folder / "images" / "0.png"]).decisions
    assert found in ("benign", "malignant")


def test_its_record_tells_what_was_added_left_out_and_judged(old, taken, folder):
    told = json.loads((taken / "retraining.json").read_text())
    judged = read_rows(old / "images.csv")
    held_out = [row["id"] for row in judged if row["split"] == "validation"]
    assert (told["taken"], told["added"], told["feedback"]) == (True, 8, str(folder))
    assert told["left_out"] == [
        {
            "image": "images/judged.jpg",
            "reason": f"shows the picture {held_out[0]} of the validation split",
        }
    ]
    figures = told["held_out"]
    assert (figures["images"], figures["split"], figures["draws"]) == (8, "validation", 2)
    assert figures["difference"] == pytest.approx(figures["new"] - figures["old"])
    low, high = figures["interval"]
    assert -0.9 < low <= figures["difference"] <= high
    corrected = told["corrected_images"]
    assert 0 <= corrected["old_right"] <= 8 >= corrected["new_right"] >= 0
    assert "trained on them" in corrected["note"]
    page = (taken / "retraining.md").read_text()
    assert page.startswith("# Taken\n")
    assert f"| images/judged.jpg | {told['left_out'][0]['reason']} |" in page


def test_both_are_judged_as_an_evaluation_judges_them(old, taken, tmp_path):
    told = json.loads((taken / "retraining.json").read_text())["held_out"]
    for name, run in (("old", old), ("new", taken)):
        copied = shutil.copytree(run, tmp_path / name)
        run_here(evaluate, [f"--workdir={copied}", "--config.eval.samples=2"])
        metrics = json.loads((copied / "eval" / "metrics.json").read_text())
        assert metrics["roc_auc"] == pytest.approx(told[name], abs=1e-12)


def test_the_new_run_knows_its_corrected_images_by_their_content(taken, folder):
    table = folder / "labels.csv"
    content = table.read_text()
    table.write_text(content.replace("images/0.png,benign", "images/0.png,malignant"))
    with pytest.raises(InputError, match="taken was trained on other data"):
        Run.open(taken).load_dataset()
    table.write_text(content)
    Run.open(taken).load_dataset()


def test_a_killed_retraining_goes_on_and_one_that_is_not_better_is_not_taken(
    old, taken, folder, monkeypatch, capsys
):
    output = old.parent / "better"
    arguments = (old, folder, output, "--margin=0", "--config.eval.samples=2")
    save = Checkpoints.save

    def save_and_die(*given):
        save(*given)
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "save", save_and_die)
        with pytest.raises(RuntimeError, match="killed"):
            retrain(*arguments)
    assert output.with_name("better.candidate").is_dir()
    assert not output.exists()
    before = content(old)
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        retrain(*arguments)
    assert stopped.value.code == 1
    assert content(old) == before
    said = capsys.readouterr().out
    assert "continuing after epoch 1" in said
    assert re.search(r"ROC AUC .* the old network is kept", said)
    assert "of the 8 corrected images the old network decides" in said
    assert not output.exists()
    assert not output.with_name("better.candidate").exists()
    rejected = output.with_name("better.rejected")
    assert (rejected / "retraining.md").read_text().startswith("# Not taken\n")
    # As if nothing had happened: the run that was taken was trained alike, and in one go.
    rows = [without_times(read_rows(run / "metrics.csv")) for run in (rejected, taken)]
    assert rows[0] == rows[1]
    figures = [
        json.loads((run / "retraining.json").read_text())["held_out"] for run in (rejected, taken)
    ]
    assert figures[0]["difference"] == figures[1]["difference"]
    assert "better.rejected was not taken" in refused(capsys, *arguments)


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        retrain(*arguments)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.count("error: ") == 1
    return error.partition("error: ")[2]


def test_a_candidate_that_another_process_trains_is_left_to_it(old, folder, tmp_path, capsys):
    candidate = tmp_path / "new.candidate"
    candidate.mkdir()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(candidate)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    error = refused(capsys, old, folder, tmp_path / "new")
    holder.communicate("")
    assert f"another process is training in {candidate}; wait for it" in error


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{tmp}", "{folder}", "{tmp}/new"], "is not the directory of a run"),
        (["{old}", "{tmp}", "{tmp}/new"], "holds no labels.csv"),
        (["{old}", "{folder}", "{old}"], "is there already; name another --output"),
        (["{old}", "{folder}", "{tmp}/new", "--margin=-1"], "--margin is -1; use 0 or more"),
        (["{old}", "{folder}", "{tmp}/new", "--marign=1"], "'--marign=1' is not an argument"),
        (["{old}", "{folder}", "{tmp}/new", "--split=test"], "the test split has no images"),
        (["{old}", "{folder}", "{tmp}/new", "--config.eval.split=all"], "which was not held out"),
        (
            ["{old}", "{folder}", "{tmp}/new", "--config.model.join=stem"],
            "was made with another config: model.join is 'head' there",
        ),
        (
            ["{old}", "{folder}", "{tmp}/new", "--config.train.epochs=0"],
            "train.epochs is 0",
        ),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(
    old, folder, tmp_path, capsys, arguments, sentence
):
    places = {"old": old, "folder": folder, "tmp": tmp_path}
    assert sentence in refused(capsys, *(word.format(**places) for word in arguments))
    assert not [*tmp_path.iterdir()]


def test_a_run_whose_images_are_gone_says_so(old, folder, tmp_path, capsys):
    gone = shutil.copytree(old, tmp_path / "old")
    config = json.loads((gone / "config.json").read_text())
    config["data"] |= {"name": "prepared", "directory": str(tmp_path / "moved")}
    (gone / "config.json").write_text(json.dumps(config))
    assert "holds no manifest.csv" in refused(capsys, gone, folder, tmp_path / "new")
