"""What must be the same to the bit, read from what a command left; times and dates are left out."""

import csv
import hashlib
import json
import pathlib
import threading
import warnings
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
import tensorflow_datasets as tfds

from stochconv_jax.runs.checkpoints import Checkpoints
from stochconv_jax.runs.devices import make_mesh, replicated

Content = dict[str, Any]
# Orbax in two threads at once is not what is tried here.
_ORBAX = threading.Lock()
UNFINISHED = ("*.part", "*.orbax-checkpoint-tmp*", "*incomplete*")


def arrays_of(item: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a directory of a checkpoint, by their path in the tree."""
    with _ORBAX, ocp.PyTreeCheckpointer() as reader, warnings.catch_warnings():
        # It was saved on this machine.
        warnings.filterwarnings("ignore", message="Sharding info not provided")
        tree = reader.restore(item)
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def _digest(array: np.ndarray) -> str:
    told = f"{array.dtype} {array.shape} ".encode()
    return hashlib.sha256(told + np.ascontiguousarray(array).tobytes()).hexdigest()


def latest_step(run: pathlib.Path) -> int:
    """Returns the step of the latest checkpoint; 0 where there is none."""
    names = (path.name for path in (run / "checkpoints").glob("*"))
    return max((int(name) for name in names if name.isdecimal()), default=0)


def of_run(run: pathlib.Path) -> Content:
    """The table of metrics, the latest and the best checkpoint, the images and their identity."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = [
            {name: value for name, value in row.items() if "second" not in name}
            for row in csv.DictReader(file)
        ]
    found: Content = {"metrics.csv": rows, "unfinished": unfinished(run)}
    for name in ("images.csv", "data.json"):
        found[name] = (run / name).read_text()
    with _ORBAX, Checkpoints(run, replicated(make_mesh()), saves=False) as checkpoints:
        latest, best = checkpoints.manager.latest_step(), checkpoints.manager.best_step()
    found |= {"latest": latest, "best": best}
    for step, item in ((latest, "model"), (latest, "optimizer"), (best, "model")):
        arrays = arrays_of(run / "checkpoints" / str(step) / item)
        found[f"{step}/{item}"] = {name: _digest(array) for name, array in arrays.items()}
    return found


def of_evaluation(directory: pathlib.Path) -> Content:
    """Figures of merit, predictions and logits."""
    metrics = json.loads((directory / "metrics.json").read_text())
    metrics.pop("provenance")
    with np.load(directory / "logits.npz") as file:
        logits = {name: _digest(file[name]) for name in file.files}
    tables = {name: (directory / name).read_text() for name in ("predictions.csv", "images.csv")}
    return {"metrics": metrics, "logits": logits, "unfinished": unfinished(directory), **tables}


def of_prepared(directory: pathlib.Path) -> Content:
    """The manifest, and every record's name and image, in order.

    A record's own bytes are no measure: the order of its fields is another one in each process.
    """
    (records,) = (path.parent for path in directory.rglob("dataset_info.json"))
    source = tfds.builder_from_directory(str(records)).as_data_source(
        split="images", decoders={"image": tfds.decode.SkipDecoding()}
    )
    images = [(row["id"], hashlib.sha256(row["image"]).hexdigest()) for row in source]
    manifest = (directory / "manifest.csv").read_text()
    return {"manifest": manifest, "images": images, "unfinished": unfinished(directory)}


def of_study(directory: pathlib.Path) -> Content:
    """Every run of it with its evaluation."""
    runs = sorted(path.parent for path in directory.glob("*/*/config.json"))
    return {
        str(run.relative_to(directory)): {**of_run(run), "eval": of_evaluation(run / "eval")}
        for run in runs
    }


def of_retraining(directory: pathlib.Path) -> Content:
    """The new run and the verdict, under whichever name it was given."""
    (run,) = directory.glob("new*")
    told = json.loads((run / "retraining.json").read_text())
    told.pop("provenance")
    return {"name": run.name, "verdict": told, **of_run(run)}


def unfinished(directory: pathlib.Path) -> list[str]:
    """Returns what is left of files that were not finished."""
    return sorted(path.name for pattern in UNFINISHED for path in directory.rglob(pattern))


def differences(one: Content, other: Content, name: str = "") -> list[str]:
    """Returns the names of what differs."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = sorted(set(one) | set(other))
        return [
            found
            for key in names
            for found in differences(one.get(key), other.get(key), f"{name}/{key}")
        ]
    return [] if one == other else [name]
