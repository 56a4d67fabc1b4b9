"""A study of several models, made by two processes at once, and compared."""

import csv
import json
import subprocess
import sys

from support import ROOT, SMALL

MODELS = """
from configs import base
from configs.studies.base import TWO_BRANCHES, make_study

def get_config():
    config = base.get_config()
    config.model.backbone = "efficientnet_tiny"
    models = {
        "base": {},
        "stem": {"model": {"branches": TWO_BRANCHES, "join": "stem", "windows": 4}},
        "broken": {"train": {"learning_rate": 1e30}},
    }
    return make_study(config, models, seeds=(0,))
"""


def test_two_processes_divide_a_study_and_one_failure_stops_nothing(tmp_path):
    (tmp_path / "small.py").write_text(MODELS)
    fields = {name: value for name, value in SMALL.items() if name != "model.join"}
    fields |= {"eval.samples": "4", "data.prepared_directory": str(tmp_path / "prepared")}
    command = [sys.executable, "-m", "stochconv_jax.study", f"--config={tmp_path / 'small.py'}"]
    command += [f"--workdir={tmp_path / 'runs'}"]
    command += [f"--config.base.{name}={value}" for name, value in fields.items()]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    said = [process.communicate() for process in [subprocess.Popen(command, **pipes) for _ in "ab"]]
    assert any("error: 1 runs failed (broken/seed0)" in error for _, error in said)
    assert sum(out.count("report:") for out, _ in said) == 2  # nothing was done twice
    for name in ("base", "stem"):
        directory = tmp_path / "runs" / name / "seed0"
        with (directory / "metrics.csv").open(newline="") as file:
            assert len(list(csv.DictReader(file))) == 2
        metrics = json.loads((directory / "eval" / "metrics.json").read_text())
        assert metrics["provenance"]["command"].startswith("python -m stochconv_jax.study")
    assert not (tmp_path / "runs" / "broken" / "seed0" / "eval").exists()
    models = [str(tmp_path / "runs" / name) for name in ("base", "stem")]
    command = [sys.executable, "-m", "stochconv_jax.compare", *models]
    command += ["--output", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 runs of 2 models" in done.stdout
