import importlib
import pathlib
import runpy

import pytest

from configs.studies import ham10000, paper, quick, retinas
from stochconv_jax.command_line import read_flags
from stochconv_jax.errors import InputError
from stochconv_jax.evidence.study import make_runs
from stochconv_jax.models.from_config import model_from_config

ROOT = pathlib.Path(__file__).parents[1]
NAMES = sorted(path.stem for path in (ROOT / "configs").glob("*.py") if path.stem != "base")


def test_the_configs_are_the_papers_and_the_quickstart():
    assert set(NAMES) == {
        "b0",
        "b0_stem64",
        "b4",
        "stem_b0",
        "stem_b4",
        "skip_b0",
        "split_b0",
        "pure_b0",
        "quickstart",
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_config_is_locked_and_makes_a_network(name):
    config = importlib.import_module(f"configs.{name}").get_config()
    assert config.is_locked
    model_from_config(config, num_outputs=1, abstract=True)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"quickstart"}))
def test_every_config_takes_a_folder(name):
    config = runpy.run_path(str(ROOT / "configs" / f"{name}.py"))["get_config"]("folder")
    assert config.data.name == "image_folder"


def test_flags_change_fields(monkeypatch):
    monkeypatch.chdir(ROOT)
    config, workdir = read_flags(
        [
            "train.py",
            "--config=configs/split_b0.py:folder",
            "--workdir=runs/x",
            "--config.data.high_size=(512, 768)",
            "--config.model.branches=('global', 'global')",
            "--config.train.epochs=3",
        ]
    )
    assert (workdir, config.data.name, config.train.epochs) == ("runs/x", "image_folder", 3)
    assert config.data.high_size == (512, 768)
    assert config.model.branches == ("global", "global")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--workdir=x"], "--config is missing"),
        (["--config=configs/b0.py"], "--workdir is missing"),
        (["--config=configs/b1.py", "--workdir=x"], "'configs/b1.py' is not a file"),
        (["--config=configs/b0.py:isic20", "--workdir=x"], "has no data 'isic20'"),
        (["--config=configs/quickstart.py:bse", "--workdir=x"], "has no network 'bse'"),
        (["--config=configs/b0.py", "--wrkdir=x"], "workdir"),
        (["--config=configs/b0.py", "--workdir=x", "fast"], "'fast' is not a flag"),
    ],
)
def test_a_command_that_cannot_be_read_is_explained(monkeypatch, arguments, sentence):
    monkeypatch.chdir(ROOT)
    with pytest.raises(InputError) as caught:
        read_flags(["train.py", *arguments])
    assert sentence in str(caught.value)


def test_the_papers_study_trains_the_configs_of_the_same_names():
    runs = make_runs(paper.get_config())
    assert len(runs) == 8 * 5
    names = {run.name.split("/")[0]: run for run in runs}
    # A control that the paper did not have.
    assert names.pop("two_ordinary").config.model.branches == ("global", "global")
    for name, run in names.items():
        expected = importlib.import_module(f"configs.{name}").get_config("isic")
        for section in ("data", "model"):
            assert run.config[section].to_dict() == expected[section].to_dict(), run.name


@pytest.mark.parametrize("study", [quick, ham10000, retinas])
def test_studies_make_their_runs(study):
    config = study.get_config()
    runs = make_runs(config)
    names = {run.name for run in runs}
    assert len(names) == len(runs) == len(config.models) * len(config.seeds) * (config.folds or 1)
    assert len({run.config.seed for run in runs}) >= 3
    assert all(run.config.is_locked for run in runs)
