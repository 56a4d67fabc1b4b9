"""What several test files need: tiny runs, programs as users call them, random images."""

import csv
import pathlib
import sys

import jax
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from stochconv_jax.command_line import read_flags, run
from stochconv_jax.models import BACKBONES
from stochconv_jax.models.creation import model_in_shapes

ROOT = pathlib.Path(__file__).parents[1]
# Data and a network, that of small_config.py, that compile and train in seconds.
SMALL = {
    "data.high_size": "(128, 128)",
    "data.low_size": "(32, 32)",
    "data.synthetic_count": "40",
    "model.join": "stem",
    "train.batch_size": "8",
    "eval.batch_size": "8",
    "eval.resamples": "20",
    "train.epochs": "2",
}
# The same with a network that compiles in a moment, and has neither statistics nor dropout.
TOY = SMALL | {"model.backbone": "toy", "model.join": "head", "model.windows": "2"}
# A program that keeps others out of the directory of a run until its input ends.
HOLD = """
import pathlib, sys
from stochconv_jax.runs.lock import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def command(config, workdir, prepared, **fields):
    """Returns the arguments of a program; its config's file lies in the repository."""
    fields = {"data.prepared_directory": str(prepared)} | fields
    overrides = [f"--config.{name}={value}" for name, value in fields.items()]
    return [f"--config={ROOT / config}", f"--workdir={workdir}", *overrides]


def run_here(function, arguments):
    """Runs a program in this process, as `command_line.run` does but for its handling of errors."""
    function(*read_flags(["program", *arguments]))


def complain(monkeypatch, capsys, function, arguments, *usage):
    """Runs a program that must stop with one sentence and exit code 2; returns the sentence."""
    monkeypatch.setattr(sys, "argv", ["program", *arguments])
    with pytest.raises(SystemExit) as stopped:
        run(function, *(usage or ("usage",)))
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.count("error: ") == 1
    return error


def without_times(rows):
    """Returns rows of metrics.csv without what differs each time."""
    return [{k: v for k, v in row.items() if "second" not in k} for row in rows]


def read_rows(path):
    """Returns the rows of a CSV."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path, rows):
    """Writes a CSV, its header first."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def noise(seed, *shape):
    """Returns uint8 pixels of a shape."""
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def noise_image(seed, size=(140, 140)):
    """Returns an image of (height, width)."""
    return Image.fromarray(noise(seed, *size, 3))


def abstract(backbone="efficientnet_b0", **arguments):
    """Returns a network in shapes only."""
    return model_in_shapes(BACKBONES[backbone], **arguments)


def count_parameters(model):
    """Returns the trainable parameters."""
    return sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


def cells(table):
    """Returns the cells of a table in Markdown, whatever its spaces and the length of its rule."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    return [row for row in rows if not set("".join(row)) <= {"-"}]


def drawn(backbone, seed=0, **arguments):
    """Returns a network that has not learnt; NumPy draws its parameters, and compiles nothing."""
    model, rng = model_in_shapes(backbone, **arguments), np.random.default_rng(seed)
    state = nnx.state(model, nnx.Param, nnx.BatchStat)
    for path, variable in (pair for part in state for pair in nnx.to_flat_state(part)):
        shape, dtype = variable.get_value().shape, variable.get_value().dtype
        if path[-1] == "kernel":
            deviation = (2 / np.prod(shape[:-1])) ** 0.5
            values = deviation * rng.standard_normal(shape)
        else:
            values = np.full(shape, path[-1] in ("scale", "var"))
        variable.set_value(jax.numpy.asarray(values, dtype))
    nnx.update(model, *state)
    return model
