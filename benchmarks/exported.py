"""Exported networks without this package: python -m benchmarks.exported RUN IMAGES.

Exports a run as StableHLO and as ONNX, makes an environment for each that holds NumPy, Pillow and
JAX or onnxruntime alone, and lets predict.py say there what it says of photographs. How far is that
from the run's own predictions, how large are the files, and what does an image take?
"""

import argparse
import functools
import json
import pathlib
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.measure import RESULTS, milliseconds, report
from stochconv_jax.data.image_file import find_images
from stochconv_jax.exporting.command import main as export
from stochconv_jax.huge_pages import restart_with_huge_pages
from stochconv_jax.inference.photographs import frame_photograph, photograph_batches
from stochconv_jax.inference.predict import make_predict
from stochconv_jax.keys import Purpose
from stochconv_jax.prediction.predictor import Predictor, load_run
from stochconv_jax.runs.devices import make_mesh

PACKAGES = {"stablehlo": ("jax", "flatbuffers"), "onnx": ("onnxruntime",)}
# What a stranger runs: given the exported directory, where to leave the logits, and a JSON of the
# photographs, the batches and the repeats.
STRANGER = """
import importlib.util, json, pathlib, sys, time
import numpy as np
directory, output, told = sys.argv[1:]
sys.path.insert(0, directory)
from predict import Network
assert importlib.util.find_spec("stochconv_jax") is None
told = json.loads(told)
network = Network()
rows = [network.inputs(pathlib.Path(name).read_bytes()) for name in told["images"]]
logits = np.concatenate([network.logits([row]) for row in rows])
times = {}
for batch in told["batches"]:
    taken = []
    given = (rows * batch)[:batch]
    network.logits(given)
    for _ in range(told["repeats"]):
        start = time.perf_counter()
        network.logits(given)
        taken.append(time.perf_counter() - start)
    times[f"batch_{batch}"] = 1e3 * np.median(taken) / batch
np.savez(output, logits=logits, probabilities=network.probabilities(logits), **times)
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints and keeps the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="directory of a trained run")
    parser.add_argument("images", nargs="+", help="photographs, or directories of them")
    parser.add_argument("--count", type=int, default=20, help="photographs, the first of them")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--name", default="exported", help="of the results")
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    options = parser.parse_args(arguments)
    images = find_images([pathlib.Path(name) for name in options.images])[: options.count]
    predictor = load_run(options.run)
    ours = predictor.predict(images)
    rows = [_ours(predictor, images, options)]
    with tempfile.TemporaryDirectory() as made:
        for form, packages in PACKAGES.items():
            rows.append(_theirs(form, packages, ours, images, options, pathlib.Path(made)))
    model = predictor.network.run.config.model
    setting = (
        f"{model.backbone}, branches {' and '.join(model.branches)}, {len(images)} photographs"
        f" framed to {'x'.join(map(str, predictor.network.run.framing.size))}, "
        f"{ours.logits.shape[1]} draws"
    )
    report(options.name, setting, rows, options.results)


def _ours(
    predictor: Predictor, images: Sequence[pathlib.Path], options: argparse.Namespace
) -> dict[str, Any]:
    network = predictor.network
    run, wanted = network.run, network.run.config.eval
    predict = make_predict(run.abstract_model(wanted.placement), make_mesh(), wanted.samples)
    key = run.key(Purpose.EVALUATION)
    framed = [frame_photograph(image, run.framing) for image in images]
    row: dict[str, Any] = {"where": "this package", "file, MB": None}
    row |= {"largest logit": None, "logits apart": None, "probabilities apart": None}
    for size in options.batches:
        batch = next(photograph_batches((framed * size)[:size], run, size))[1]
        found = milliseconds(
            {"": functools.partial(predict, network.state, batch, key)}, options.repeats
        )
        row[f"ms per image, batch {size}"] = found[""] / size
    return row


def _theirs(
    form: str,
    packages: tuple[str, ...],
    ours: Any,
    images: Sequence[pathlib.Path],
    options: argparse.Namespace,
    made: pathlib.Path,
) -> dict[str, Any]:
    directory, environment = made / form, made / f"environment_{form}"
    export([str(options.run), f"--format={form}", f"--output={directory}"])
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "numpy", "pillow", *packages], check=True
    )
    told = {
        "images": [str(path.resolve()) for path in images],
        "batches": options.batches,
        "repeats": options.repeats,
    }
    left = made / f"{form}.npz"
    # Isolated: neither PYTHONPATH nor this directory.
    command = [python, "-I", "-c", STRANGER, directory, left, json.dumps(told)]
    subprocess.run(command, check=True, cwd=made, stdout=sys.stderr)
    found = np.load(left)
    file = next(directory.glob("model.*"))
    return {
        "where": f"{file.name} by {packages[0]}",
        "file, MB": file.stat().st_size / 1e6,
        "largest logit": float(np.abs(ours.logits).max()),
        "logits apart": f"{np.abs(found['logits'] - ours.logits).max():.1e}",
        "probabilities apart": f"{np.abs(found['probabilities'] - ours.probabilities).max():.1e}",
        **{
            f"ms per image, batch {size}": float(found[f"batch_{size}"]) for size in options.batches
        },
    }


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
