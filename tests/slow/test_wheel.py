"""What is built is installed beside nothing of the checkout, and trains; pip fetches setuptools."""

import os
import shutil
import subprocess
import sys

import pytest
from support import ROOT, SMALL

COPIED = ("stochconv_jax", "configs", "pyproject.toml", "README.md", "LICENSE")


def run(directory, *words, **environment):
    done = subprocess.run(
        [str(word) for word in words],
        cwd=directory,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def installed(tmp_path):
    source, wheels, target = (tmp_path / name for name in ("source", "wheels", "installed"))
    source.mkdir()
    for name in COPIED:  # so that building leaves nothing in the checkout
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, symlinks=True)
        else:
            shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip"]
    run(tmp_path, *pip, "wheel", source, "--no-deps", "--wheel-dir", wheels)
    run(tmp_path, *pip, "install", "--no-deps", "--target", target, *wheels.glob("*.whl"))
    return target


def test_an_installed_wheel_holds_the_configs_and_trains(installed, tmp_path):
    shipped = {path.name for path in (installed / "stochconv_jax" / "configs").rglob("*.py")}
    assert shipped == {path.name for path in (ROOT / "configs").rglob("*.py")}
    assert (installed / "stochconv_jax" / "py.typed").is_file()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    words = [f"--config.{name}={value}" for name, value in (SMALL | {"train.epochs": "1"}).items()]
    program = installed / "bin" / "stochconv"
    train = ["train", "--config=configs/quickstart.py", "--workdir=run", *words]
    run(elsewhere, program, *train, PYTHONPATH=str(installed))
    assert "roc_auc" in run(elsewhere, program, "eval", "--workdir=run", PYTHONPATH=str(installed))
    assert (elsewhere / "run" / "eval" / "report.html").is_file()
