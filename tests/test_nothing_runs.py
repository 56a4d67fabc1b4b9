"""No reader of files executes what stands in them; only configs are programs, by design."""

import ast
import json
import os
import pathlib

import h5py
import keras
import numpy as np
import pytest
from support import ROOT

from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.kept_evaluation import read_evaluation
from stochconv_jax.models.weights.read_file import read_weight_file

FORBIDDEN_MODULES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve", "yaml"}
# What may be imported all the same: PyTorch's error is pickle's.
ALLOWED = {("models/weights/torch_file.py", "pickle")}
# Configs are programs that their users name.
RUNS_CONFIGS = "config_file.py"
SOURCES = sorted(ROOT.joinpath("stochconv_jax").rglob("*.py"))


def what_could_run(tree):
    """Yields what of a module could execute data."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]
        elif isinstance(node, ast.Call):
            keywords = {word.arg: ast.unparse(word.value) for word in node.keywords}
            name = ast.unparse(node.func)
            loads = name.endswith("torch.load") and keywords.get("weights_only") != "True"
            pickles = name.endswith(".load") and keywords.get("allow_pickle", "False") != "False"
            shell = keywords.get("shell", "False") != "False" or name in ("os.system", "os.popen")
            runs = name in ("eval", "exec", "compile", "runpy.run_path", "runpy.run_module")
            if loads or pickles or shell or runs:
                yield f"{name}()"


def test_the_scan_finds_what_it_looks_for():
    code = """
import pickle, joblib.parallel
from dill import loads
np.load(path, allow_pickle=True)
torch.load(path)
subprocess.run(text, shell=True)
os.system(text)
eval(text)
"""
    found = set(what_could_run(ast.parse(code)))
    assert found >= {"pickle", "joblib", "dill", "np.load()", "torch.load()", "subprocess.run()"}
    assert found >= {"os.system()", "eval()"}


def test_no_module_unpickles_evaluates_or_calls_a_shell():
    found = {
        (name, what)
        for path in SOURCES
        for name in [path.relative_to(ROOT / "stochconv_jax").as_posix()]
        for what in what_could_run(ast.parse(path.read_text(encoding="utf-8")))
        if what in FORBIDDEN_MODULES or what.endswith("()")
    }
    assert len(SOURCES) > 100
    assert found - ALLOWED == {(RUNS_CONFIGS, "runpy.run_path()")}


def test_what_keras_would_execute_is_not_even_read(tmp_path):
    ran = tmp_path / "ran"
    directory = str(ran)
    network = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(3, name="dense"),
            keras.layers.Lambda(lambda x: (os.mkdir(directory), x)[1], output_shape=(3,)),
        ]
    )
    network.save(tmp_path / "whole.h5")
    arrays = read_weight_file(tmp_path / "whole.h5").arrays
    assert set(arrays) == {"dense/kernel", "dense/bias"}
    assert not ran.exists()


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_objects_among_kept_arrays_are_refused_unread(tmp_path):
    ran = tmp_path / "ran"
    metrics = {"class_names": ["a", "b"], "epochs": 1, "split": "test", "checkpoint": "best"}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "predictions.csv").write_text("id,label,probability\nx,a,0.5\n")
    (tmp_path / "images.csv").write_text("id,group\nx,x\n")
    np.savez(tmp_path / "logits.npz", logits=np.array([Bomb(ran)], object))
    with pytest.raises(InputError, match=r"logits.npz is damaged .*; run eval.py again"):
        read_evaluation(tmp_path)
    assert not ran.exists()


def test_arrays_in_another_file_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with h5py.File("other.h5", "w") as file:
        file["layers/dense/vars/0"] = np.ones((2, 3), np.float32)
    with h5py.File("linked.h5", "w") as file:
        file["layers"] = h5py.ExternalLink("other.h5", "/layers")
    with h5py.File("outside.h5", "w") as file:
        variables = file.create_group("layers/dense/vars")
        variables.create_dataset("0", (3,), np.float32, external=[("other.h5", 0, 12)])
    for name in ("linked.h5", "outside.h5"):
        with pytest.raises(InputError, match="leads to another file for its arrays"):
            read_weight_file(pathlib.Path(name))
