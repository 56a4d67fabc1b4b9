"""A study of one small model; tests/slow has one of several, made by two processes at once."""

import json
import pathlib
import re
import sys

import jax
import pytest
from support import ROOT, SMALL

from stochconv_jax.command_line import read_flags, run
from stochconv_jax.errors import InputError
from stochconv_jax.evidence.study import make_runs, study
from stochconv_jax.runs import compilation_cache

# The network and the steps of `straight` in test_training, so that they compile once for both.
MODELS = """
import small_config
from stochconv_jax.configs.studies.base import make_study

def get_config():
    return make_study(small_config.get_config(), {"stem": {"model": {"join": "stem"}}}, seeds=(0,))
"""


@pytest.fixture
def arguments(tmp_path):
    (tmp_path / "small.py").write_text(MODELS)
    fields = {name: value for name, value in SMALL.items() if name != "model.join"}
    fields |= {"eval.samples": "3", "data.test_fraction": "0.3", "eval.split": "test"}
    fields |= {"data.prepared_directory": str(tmp_path / "prepared"), "train.epochs": "1"}
    fields |= {"train.steps_per_epoch": "4"}
    overrides = [f"--config.base.{name}={value}" for name, value in fields.items()]
    return [f"--config={tmp_path / 'small.py'}", f"--workdir={tmp_path / 'runs'}", *overrides]


def read(path):
    return json.loads(path.read_text())


def test_a_study_makes_what_is_missing_or_changed_and_nothing_else(arguments, tmp_path, capsys):
    directory = tmp_path / "runs" / "stem" / "seed0"

    def metrics(*fields):
        study(*read_flags(["program", *arguments, *fields]))
        return read(directory / "eval" / "metrics.json")

    first = metrics()
    assert "epoch 1/1" in capsys.readouterr().out
    found = (first["split"], first["epochs"], first["images"], first["draws"])
    assert found == ("test", 1, 12, 3)
    assert len(first["thresholds"]) == 3
    cost = read(directory / "cost.json")
    assert all(cost[name] > 0 for name in ("parameters", "gigaflops", "step_megabytes"))
    # These join at the stem, so that a further draw passes through nearly all of the network.
    assert 0.5 < cost["gigaflops_per_further_draw"] / cost["gigaflops"] < 1
    assert metrics() == first
    assert "epoch " not in capsys.readouterr().out
    assert metrics("--config.base.eval.samples=2")["draws"] == 2
    assert "epoch 1" not in capsys.readouterr().out


def test_a_study_that_cannot_be_is_told_before_anything_is_done(
    arguments, monkeypatch, capsys, tmp_path
):
    def complain(*fields):
        monkeypatch.setattr(sys, "argv", ["program", *arguments, *fields])
        with pytest.raises(SystemExit) as stopped:
            run(study)
        assert stopped.value.code == 2
        assert not (tmp_path / "runs").exists()
        return capsys.readouterr().err

    assert "model 'stem' is not usable" in complain("--config.models.stem.model.join=neck")
    assert "train.epochs is 0" in complain("--config.base.train.epochs=0")
    assert 'no field "modl"' in complain("--config.modl.stem=1")
    arguments = [f"--config={ROOT / 'configs' / 'b0.py'}", f"--workdir={tmp_path / 'runs'}"]
    assert "the config is not a study" in complain()


def test_a_fold_is_a_run_of_its_own(arguments):
    config, _ = read_flags(["program", *arguments, "--config.folds=2"])
    runs = make_runs(config)
    assert [run.name for run in runs] == ["stem/seed0_fold0", "stem/seed0_fold1"]
    assert [run.config.data.fold for run in runs] == [0, 1]


def test_compiled_programs_are_kept_with_the_user_apart_for_each_machine(
    arguments, monkeypatch, tmp_path
):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = jax.config.jax_compilation_cache_dir
    config, workdir = read_flags(["program", *arguments, "--config.base.train.batch_size=7"])
    try:
        with pytest.raises(InputError, match="1 runs failed"):  # 7 images on 4 devices
            study(config, workdir)
        directory = pathlib.Path(jax.config.jax_compilation_cache_dir)
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
    assert directory.parent == tmp_path / "cache" / "stochconv_jax" / "compiled"
    assert re.fullmatch("[0-9a-f]{12}", directory.name)
    assert directory.stat().st_mode & 0o777 == 0o700


def test_nothing_compiled_is_kept_where_no_directory_can_be_made(monkeypatch, tmp_path):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    (tmp_path / "file").touch()
    before = jax.config.jax_compilation_cache_dir
    for cache in (str(tmp_path / "file"), "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", cache)
        monkeypatch.setenv("HOME", str(tmp_path / "file"))
        compilation_cache.keep_compiled()
        assert jax.config.jax_compilation_cache_dir == before


def test_processors_with_other_instructions_are_other_machines(monkeypatch, tmp_path):
    names = set()
    for flags in ("fpu sse2 avx2", "fpu sse2 avx2 avx512f"):
        path = tmp_path / flags
        path.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbogomips\t: 1\n")
        monkeypatch.setattr(compilation_cache, "PROCESSOR", path)
        names.add(compilation_cache.machine())
        assert compilation_cache.machine() in names
    assert len(names) == 2
