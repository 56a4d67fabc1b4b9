"""The commands as users start them: from any directory, installed or in a checkout."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

import stochconv_jax
from stochconv_jax.cli import VERBS

ROOT = pathlib.Path(__file__).parents[1]
# What an installer writes into the directory of programs.
PROGRAM = """#!{python}
import sys
from stochconv_jax.cli import main
if __name__ == "__main__":
    sys.exit(main())
"""

# Each command as `python -m` starts it, in a process that has imported others' packages alone. What
# it imports must hold none of those that take seconds and are needed by few.
EACH = """
import json, os, runpy, sys
import flax.nnx, grain, matplotlib.figure, optax, orbax.checkpoint, scipy.stats, sklearn.metrics
import tensorflow_datasets
os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=0"  # or training would start it all anew
for verb, *words in json.loads(sys.argv[1]):
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0, verb
        continue
    sys.argv, code = [verb, *words], 0
    try:
        runpy.run_module(f"stochconv_jax.{verb}", run_name="__main__", alter_sys=True)
    except SystemExit as left:
        code = left.code or 0
    heavy = {"torch", "keras", "gradio", "onnxruntime"} & set(sys.modules)
    print("===", verb, code, heavy, flush=True)
    os._exit(0)
"""


def start(arguments, directory):
    """Runs a program from `directory` with the package installed, and nothing beside it."""
    installed = directory / "installed"
    if not installed.exists():
        installed.mkdir()
        (installed / "stochconv_jax").symlink_to(ROOT / "stochconv_jax")
    environment = os.environ | {"PYTHONPATH": str(installed)}
    return subprocess.run(
        [str(word) for word in arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "programs" / "stochconv"
    path.parent.mkdir()
    path.write_text(PROGRAM.format(python=sys.executable))
    path.chmod(0o755)
    return path


def test_help_names_every_command_and_imports_nothing_heavy(program, tmp_path):
    done = start([program, "--help"], tmp_path)
    assert done.returncode == 0, done.stderr
    for verb in ("train", "eval", "prepare", "predict", "study", "compare"):
        assert re.search(rf"^  {verb} +\w", done.stdout, re.MULTILINE), done.stdout
    light = "import sys, stochconv_jax.cli; print({'jax', 'numpy', 'absl'} & set(sys.modules))"
    assert start([sys.executable, "-c", light], tmp_path).stdout == "set()\n"


def test_the_version_is_the_packages(program, tmp_path):
    assert start([program, "--version"], tmp_path).stdout.split()[-1] == stochconv_jax.__version__


def test_a_command_that_there_is_not_ends_with_one_sentence(program, tmp_path):
    done = start([program, "trian"], tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "'trian'" in done.stderr
    assert "train, eval" in done.stderr


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """What every command says to --help, and a study last; (verb, text, code, heavy), errors."""
    config = ROOT / "configs" / "studies" / "quick.py"
    mistaken = ["study", f"--config={config}", "--workdir=runs", "--config.base.train.epochs=0"]
    words = json.dumps([*([verb, "--help"] for verb in VERBS), mistaken])
    directory = tmp_path_factory.mktemp("anywhere")
    done = start([sys.executable, "-W", "ignore", "-c", EACH, words], directory)
    assert done.returncode == 0, done.stderr
    told = re.split(r"^=== (\w+) (\d+) (.*)\n", done.stdout, flags=re.MULTILINE)
    return list(zip(told[1::4], told[::4], told[2::4], told[3::4], strict=False)), done.stderr


def test_every_command_is_a_module_with_help_of_its_own(begun):
    (*helps, _), _ = begun
    assert [verb for verb, *_ in helps] == list(VERBS)
    for verb, text, code, heavy in helps:
        assert text.startswith("usage: ")
        assert verb in text
        assert (code, heavy) == ("0", "set()")


def test_a_shipped_study_loads_from_any_directory(begun):
    (*_, (verb, text, code, heavy)), errors = begun
    assert (verb, text, code, heavy) == ("study", "", "2", "set()")
    assert errors.count("\n") == 1, errors
    assert "train.epochs is 0" in errors


def test_an_installed_command_takes_its_arguments_through_the_restart(program, tmp_path):
    # Where the system leaves huge pages to programs, train starts itself once more.
    done = start([program, "train", "--config=quickstart:two words", "--workdir=x"], tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "no network 'two words'" in done.stderr


@pytest.mark.parametrize("name", ["train.py", "eval.py"])
def test_the_programs_of_a_checkout_run_from_any_directory(name, tmp_path):
    done = start([sys.executable, ROOT / name, "--config=quickstart"], tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "--workdir is missing" in done.stderr
