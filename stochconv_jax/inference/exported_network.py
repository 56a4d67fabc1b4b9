"""A network that was exported as weights: config.json and model.safetensors, without its data."""

import math
import pathlib
from typing import Any, NamedTuple

import jax
from flax import nnx

from stochconv_jax.data.dataset.metadata import Metadata
from stochconv_jax.errors import InputError
from stochconv_jax.inference.trained_network import TrainedNetwork
from stochconv_jax.models.weights.safetensors_file import read_safetensors_file
from stochconv_jax.models.weights.state_arrays import state_of_arrays
from stochconv_jax.runs.devices import make_mesh, replicated
from stochconv_jax.runs.identity import check_identity
from stochconv_jax.runs.run import Run
from stochconv_jax.saved_config import EXPORTED, config_of, read_json

CONFIG = "config.json"
WEIGHTS = "model.safetensors"


class ExportedNetwork(NamedTuple):
    """What a directory that `stochconv export` wrote holds.

    Attributes:
      network: as it was restored from its run.
      threshold: of the probability of the second of two classes, chosen for the exported draws.
      threshold_note: where it comes from.
    """

    network: TrainedNetwork
    threshold: float
    threshold_note: str


def is_exported(directory: pathlib.Path) -> bool:
    """Returns whether a directory holds an exported network rather than a run."""
    path = directory / CONFIG
    return path.is_file() and EXPORTED in read_json(path)


def read_exported(directory: pathlib.Path) -> ExportedNetwork:
    """Reads an exported network; nothing in the directory is executed.

    Raises:
      InputError: it was exported as a program, or a file is missing or damaged.
    """
    content = read_json(directory / CONFIG)
    if content.get("file") != WEIGHTS:
        raise InputError(
            f"{directory} holds {content.get('file')}, which runs without this package; to load a "
            "network here export it with --format=safetensors"
        )
    path = directory / WEIGHTS
    if not path.is_file():
        raise InputError(f"{path} is missing; export the run again")
    try:
        run = _run(directory, content)
        step, epochs = int(content["step"]), int(content["epochs"])
        threshold, note = float(content["decision"]["threshold"]), content["decision"]["note"]
        if not math.isfinite(threshold):
            raise ValueError("the threshold is no number")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{directory / CONFIG} is damaged ({error!r}); export again") from error
    file = read_safetensors_file(path)
    shapes = nnx.state(run.abstract_model(), nnx.Param, nnx.BatchStat)
    try:
        state = state_of_arrays(shapes, file.arrays, file.joined)
    except InputError as error:
        raise InputError(f"{path} does not fit {CONFIG} beside it: {error}") from error
    state = jax.device_put(state, replicated(make_mesh()))
    return ExportedNetwork(TrainedNetwork(run, state, step, epochs), threshold, note)


def _run(directory: pathlib.Path, content: dict[str, Any]) -> Run:
    fitted = content["metadata"]
    metadata = Metadata.from_json(fitted, directory / CONFIG) if fitted else None
    check_identity(content["data"], directory / CONFIG)
    return Run(directory, config_of(content["run"]), content["data"], metadata)
