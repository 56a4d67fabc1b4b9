import importlib
import json
import pathlib
import runpy
import sys

import numpy as np
import pytest

from stochconv_jax.command_line import read_command, read_flags
from stochconv_jax.config_file import load_config
from stochconv_jax.config_limits import check_limits
from stochconv_jax.configs.papers import skin_lesions
from stochconv_jax.configs.studies import (
    cifar,
    grades,
    ham10000,
    leak,
    optimizers,
    paper,
    quality,
    quick,
    retinas,
)
from stochconv_jax.data.load import load_dataset
from stochconv_jax.data.pipeline.augment import transforms_from_config
from stochconv_jax.errors import InputError
from stochconv_jax.eval import OPTIONS
from stochconv_jax.evidence.study import make_runs
from stochconv_jax.models.from_config import model_from_config

ROOT = pathlib.Path(__file__).parents[1]
PAPERS = sorted(path.stem for path in (ROOT / "configs" / "papers").glob("*.py"))
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
        "finetune",
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_config_is_locked_and_within_the_limits(name):
    config = importlib.import_module(f"stochconv_jax.configs.{name}").get_config()
    assert config.is_locked
    check_limits(config)


# The paper's study makes the others' networks.
@pytest.mark.parametrize("name", sorted(set(NAMES) - set(paper.get_config().models)))
def test_every_config_makes_a_network(name):
    config = importlib.import_module(f"stochconv_jax.configs.{name}").get_config()
    model_from_config(config, num_outputs=1, abstract=True)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"quickstart"}))
def test_every_config_takes_a_folder(name):
    config = runpy.run_path(str(ROOT / "configs" / f"{name}.py"))["get_config"]("folder")
    assert config.data.name == "image_folder"


@pytest.mark.parametrize("name", PAPERS)
def test_the_config_of_a_paper_is_locked_and_within_the_limits_from_anywhere(
    name, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    config = load_config(f"configs/papers/{name}.py")
    assert config.is_locked
    check_limits(config)


@pytest.mark.parametrize("name", PAPERS)
def test_a_papers_config_says_what_to_fetch(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = load_config(f"configs/papers/{name}.py").data
    with pytest.raises(InputError) as said:
        load_dataset(data)
    assert str(said.value).endswith(f"; {data.origin}")
    assert data.origin


def test_songs_configs_differ_in_what_is_asked_for():
    plain, augmented = (
        load_config(f"configs/papers/retinopathy.py:{name}") for name in ("plain", "randaugment")
    )
    assert (plain.train.optimizer, plain.train.weight_decay) == ("adam", 1e-5)
    assert augmented.data.augment.randaugment_operations == 2
    assert augmented.data.augment.randaugment_weights == "shape"
    counts = np.array([25810, 2443, 5292, 873, 708])  # of EyePACS' training images
    visits = counts * augmented.data.class_multipliers
    np.testing.assert_allclose(visits, counts.sum() / 5, rtol=0.002)
    fine, scratch = (
        load_config(f"configs/papers/cifar.py:{name}") for name in ("100", "10_scratch")
    )
    assert (fine.data.directory, scratch.data.directory) == (
        "prepared/cifar100",
        "prepared/cifar10",
    )
    assert (fine.train.optimizer, fine.train.momentum) == ("sgd", 0.99)
    assert scratch.train.optimizer == "adam"
    with pytest.raises(InputError, match="no data '1000'; write 10, 100"):
        load_config("configs/papers/cifar.py:1000")
    with pytest.raises(InputError, match="no augmentation 'none'; write plain"):
        load_config("configs/papers/retinopathy.py:none")


def test_windows_may_be_larger_than_the_small_image_where_branches_join_at_the_head():
    config = importlib.import_module("stochconv_jax.configs.quickstart").get_config()
    assert model_from_config(config, 1, abstract=True).branches.stochastic.window_size == (113, 113)
    config.model.window_size = (224, 160)
    model = model_from_config(config, 1, abstract=True)
    assert model.branches.stochastic.window_size == (225, 161)


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
    "name",
    ["configs/quickstart.py", "configs/quickstart", "quickstart", "quickstart.py"],
)
def test_a_shipped_config_is_found_from_any_directory(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config, _ = read_flags(["train.py", f"--config={name}:base", "--workdir=x"])
    assert config.model.branches == ("global",)
    assert config.is_locked


def test_a_file_of_ones_own_comes_before_a_shipped_one(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    own = (
        "from ml_collections import ConfigDict\ndef get_config():\n    return ConfigDict({'a': 1})"
    )
    (tmp_path / "configs" / "quickstart.py").write_text(own)
    config, _ = read_flags(["train.py", "--config=configs/quickstart.py", "--workdir=x"])
    assert config.to_dict() == {"a": 1}


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("import nowhere", ["ModuleNotFoundError in line 1", "nowhere"]),
        ("from nowhere.configs import base", ["ModuleNotFoundError in line 1", "nowhere"]),
        ("\ndef get_config(:", ["SyntaxError in line 2"]),
        ("\n\nbas.get_config()", ["NameError in line 3", "'bas' is not defined"]),
        ("raise SystemExit(1)", ["SystemExit in line 1"]),
        ("open('nothing.json')", ["FileNotFoundError in line 1", "nothing.json"]),
        ("x = 1", ["no function get_config"]),
        ("def get_config():\n    return {'a': 1}", ["returned a dict"]),
        ("def get_config(data):\n    return data", ["TypeError", "missing 1 required"]),
        (
            "from stochconv_jax.configs import base\n"
            "def get_config():\n"
            "    config = base.get_config()\n"
            "    config.train.epoch = 3\n",
            ["AttributeError in line 4", "epoch"],
        ),
    ],
)
def test_a_config_that_does_not_load_is_told_with_its_line(text, sentences, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_flags(["train.py", f"--config={path}", "--workdir=x"])
    for sentence in [str(path), *sentences]:
        assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_config_that_imports_configs_elsewhere_is_told_what_to_write(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(ROOT))])
    for name in [name for name in sys.modules if name.partition(".")[0] == "configs"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "mine.py").write_text("from configs import base")
    with pytest.raises(InputError, match=r"import from stochconv_jax\.configs instead"):
        read_flags(["train.py", f"--config={tmp_path / 'mine.py'}", "--workdir=x"])


@pytest.fixture
def made(tmp_path):
    """A run's directory, of which config.json is here."""
    config, _ = read_flags(["train.py", "--config=quickstart", "--workdir=x"])
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    return tmp_path


def test_a_runs_own_config_is_read_and_fields_may_be_changed(made):
    command = ["eval.py", f"--workdir={made}", "--config.eval.samples", "7"]
    config, workdir = read_flags([*command, "--config.data.low_size=(56, 56)"])
    expected, _ = read_flags(["train.py", "--config=quickstart", "--workdir=x"])
    with expected.unlocked():
        expected.eval.samples = 7
        expected.data.low_size = (56, 56)
    assert config.to_dict() == expected.to_dict()
    assert (workdir, config.is_locked) == (str(made), True)
    with pytest.raises(InputError, match='no field "sample"; did you mean "samples"'):
        read_flags([*command, "--config.eval.sample=3"])
    with pytest.raises(InputError, match="samples"):
        read_flags([*command, "--config.eval.samples=many"])


def test_a_run_from_before_a_field_has_its_default(made):
    config = json.loads((made / "config.json").read_text())
    del config["eval"]["resamples"], config["model"]["remat"]
    del config["data"]["equal_classes"], config["data"]["class_multipliers"]
    (made / "config.json").write_text(json.dumps(config))
    config, _ = read_flags(["eval.py", f"--workdir={made}"])
    assert (config.eval.resamples, config.model.remat) == (1000, False)
    assert (config.data.equal_classes, config.data.class_multipliers) == (False, ())


@pytest.mark.parametrize("text", ['{"seed":', "[1, 2]", ""])
def test_a_damaged_config_of_a_run_is_told(made, text):
    (made / "config.json").write_text(text)
    with pytest.raises(InputError, match=r"config\.json is damaged"):
        read_flags(["eval.py", f"--workdir={made}"])


def test_evaluation_takes_other_images_by_flags_of_either_spelling(made):
    words = ["--data=images", "--table", "labels.csv", "--image-column=a", "--label_column=b"]
    config, workdir, options = read_command(["eval.py", f"--workdir={made}", *words], OPTIONS)
    assert (config.data.name, workdir) == ("synthetic_lesions", str(made))
    assert options == {
        "data": "images",
        "table": "labels.csv",
        "image_column": "a",
        "label_column": "b",
    }
    with pytest.raises(InputError, match=r"Did you mean: .*table"):
        read_command(["eval.py", f"--workdir={made}", "--tabel=x"], OPTIONS)
    with pytest.raises(InputError, match="Unknown command line flag 'data'"):
        read_flags(["train.py", f"--workdir={made}", *words])


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
        (["--config=configs/b0.py", "--workdir=x", "--config.=3"], "cannot be read"),
        (["--config=b0", "--workdir"], "Missing value for flag --workdir"),
    ],
)
def test_a_command_that_cannot_be_read_is_explained(monkeypatch, arguments, sentence):
    monkeypatch.chdir(ROOT)
    with pytest.raises(InputError) as caught:
        read_flags(["train.py", *arguments])
    assert sentence in str(caught.value)


def test_the_papers_study_makes_the_networks_of_the_configs_of_the_same_names():
    runs = make_runs(paper.get_config())
    assert len(runs) == 8 * 5
    names = {run.name.split("/")[0]: run for run in runs}
    # A control that the paper did not have.
    assert names.pop("two_ordinary").config.model.branches == ("global", "global")
    for name, run in names.items():
        expected = importlib.import_module(f"stochconv_jax.configs.{name}").get_config("isic")
        for section in ("data", "model"):
            assert run.config[section].to_dict() == expected[section].to_dict(), run.name


@pytest.mark.parametrize(
    ("study", "arguments"),
    [
        (quick, ()),
        (ham10000, ()),
        (leak, ()),
        (optimizers, ()),
        (cifar, ()),
        (grades, ()),
        (retinas, ("112",)),
        (retinas, ("72",)),
        (quality, ("polyu",)),
        (quality, ("livec_scratch",)),
    ],
)
def test_studies_make_their_runs(study, arguments):
    config = study.get_config(*arguments)
    runs = make_runs(config)
    names = {run.name for run in runs}
    assert len(names) == len(runs) == len(config.models) * len(config.seeds) * (config.folds or 1)
    assert len({run.config.seed for run in runs}) == len(config.seeds)
    assert all(run.config.is_locked for run in runs)


def test_a_last_training_may_choose_nothing_by_the_test_images():
    config = importlib.import_module("stochconv_jax.configs.quickstart").get_config()
    config.data.retrain = True
    with pytest.raises(InputError, match=r"eval\.checkpoint='best' would choose"):
        check_limits(config)
    config.eval.checkpoint = "latest"
    check_limits(config)
    config.train.patience = 2
    with pytest.raises(InputError, match=r"train\.patience would choose"):
        check_limits(config)
    config.train.patience = 0
    config.eval.split = "test"
    with pytest.raises(InputError, match=r"eval\.split is 'test'"):
        check_limits(config)


def test_skin_lesions_takes_a_network_an_optimizer_and_no_augmentation():
    config = skin_lesions.get_config("resnet34_small,rmsprop,plain")
    assert (config.model.backbone, config.train.optimizer) == ("resnet34_small", "rmsprop")
    assert config.data.equal_classes
    assert transforms_from_config(config.data.augment) == ()
    augmented = skin_lesions.get_config("receptive_cnn")
    assert (augmented.train.optimizer, augmented.data.augment.hue) == ("sgd", 0.15)
    assert len(transforms_from_config(augmented.data.augment)) == 4
    for made in (config, augmented):
        check_limits(made)
        model_from_config(made, num_outputs=7, abstract=True)
    for argument in ("resnet50", "resnet18_small,lion", ""):
        with pytest.raises(InputError, match="write one of receptive_cnn, receptive_cnn_no_b"):
            skin_lesions.get_config(argument)


def test_the_studys_protocols_differ_in_when_rows_are_copied_alone():
    runs = {run.name: run.config for run in make_runs(leak.get_config())}
    for network in ("receptive_cnn", "resnet18"):
        published = runs[f"{network}_published/seed1"].copy_and_resolve_references()
        assert published.data.oversample_before_split == 1000
        with published.unlocked():
            published.data.oversample_before_split = 0
        assert published.to_dict() == runs[f"{network}_lesions_first/seed1"].to_dict()


def test_the_optimizers_differ_in_their_rates_alone_and_sgd_is_the_leaks():
    runs = {run.name: run.config for run in make_runs(optimizers.get_config())}
    leaks = {run.name: run.config for run in make_runs(leak.get_config())}
    assert runs["sgd/seed1"].to_dict() == leaks["resnet18_lesions_first/seed1"].to_dict()
    for name, rate in (("rmsprop", 1e-3), ("adam", 1e-3), ("sgd", 1e-2)):
        made = runs[f"{name}/seed2"].copy_and_resolve_references().unlock()
        assert (made.train.optimizer, made.train.learning_rate) == (name, rate)
        made.train.optimizer, made.train.learning_rate = "sgd", 1e-2
        assert made.to_dict() == runs["sgd/seed2"].to_dict()
