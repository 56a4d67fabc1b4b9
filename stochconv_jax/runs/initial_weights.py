"""The weights that a run starts from: a file that others wrote, or another run of ours."""

import json
import pathlib

from flax import nnx
from ml_collections import ConfigDict

from stochconv_jax.atomic_write import atomic_write
from stochconv_jax.errors import InputError
from stochconv_jax.hosts.exchange import is_first
from stochconv_jax.models.families import BACKBONES
from stochconv_jax.models.from_config import backbone_from_config, model_from_config
from stochconv_jax.models.two_branch import TwoBranchNetwork
from stochconv_jax.models.weights.assignment import Assignment, assign
from stochconv_jax.models.weights.published import weights_path
from stochconv_jax.models.weights.read_file import read_weight_file
from stochconv_jax.models.weights.state_arrays import state_arrays
from stochconv_jax.models.weights.weight_file import WeightFile, file_sha256
from stochconv_jax.runs.checkpoints import Checkpoints
from stochconv_jax.runs.devices import make_mesh, replicated
from stochconv_jax.runs.run_metadata import read_metadata
from stochconv_jax.saved_config import read_config, read_json


def read_weights(name_or_path: str) -> WeightFile:
    """Reads weights by name, a file of them, or the best checkpoint of a run's directory.

    Raises:
      InputError: they are not there or damaged.
    """
    path = weights_path(name_or_path)
    return _read_run(path) if path.is_dir() else read_weight_file(path)


def resolve_auto(config: ConfigDict) -> None:
    """Replaces "auto" in `model.pixels` and `model.conventions` by what the weights ask for.

    Raises:
      InputError: the weights cannot be read.
    """
    model = config.model
    automatic = [field for field in ("pixels", "conventions") if model[field] == "auto"]
    file = read_weights(model.weights) if automatic and model.weights else None
    for field in automatic:
        model[field] = (file and getattr(file, field)) or "backbone"
    if file and "pixels" in automatic:
        model.pixel_mean, model.pixel_deviation = file.pixel_mean, file.pixel_deviation


def check_weights(config: ConfigDict, abstract: TwoBranchNetwork) -> None:
    """Checks, before anything is prepared, that a run's weights fit its network.

    Raises:
      InputError: they do not.
    """
    if config.model.weights:
        _assign(config, abstract, classifier=False)


def initial_model(
    config: ConfigDict, num_outputs: int, directory: pathlib.Path, metadata_inputs: int = 1
) -> TwoBranchNetwork:
    """Returns a run's network before its first step, and tells in weights.json what was loaded.

    Raises:
      InputError: the weights do not fit.
    """
    model = model_from_config(config, num_outputs, metadata_inputs=metadata_inputs)
    if config.model.weights:
        file, found = _assign(config, model, config.model.weights_classifier)
        found.fill(model)
        told = {
            "weights": config.model.weights,
            "sha256": file.sha256,
            "format": file.format,
            "loaded": {name: found.sources[name] for name in found.arrays},
            "anew": found.anew,
            "passed_over": found.passed_over,
        }
        if is_first():
            atomic_write(directory / "weights.json", json.dumps(told, indent=2) + "\n")
    return model


def _assign(
    config: ConfigDict, model: TwoBranchNetwork, classifier: bool
) -> tuple[WeightFile, Assignment]:
    file = read_weights(config.model.weights)
    name = config.model.backbone
    if file.backbone in BACKBONES and file.backbone != name:
        raise InputError(
            f"{file.path} holds weights of {file.backbone}, and model.backbone is {name!r}; change "
            "one of them"
        )
    return file, assign(file, backbone_from_config(config), model, classifier)


def _read_run(directory: pathlib.Path) -> WeightFile:
    config = read_config(directory)
    joined = len(config.model.branches) > 1
    classes = read_json(directory / "data.json").get("classes", ())
    outputs = 1 if len(classes) == 2 else len(classes)
    metadata = read_metadata(directory, config)
    inputs = len(metadata.names) if metadata else 1
    abstract = model_from_config(config, outputs, abstract=True, metadata_inputs=inputs)
    shapes = nnx.state(abstract, nnx.Param, nnx.BatchStat)
    with Checkpoints(directory, replicated(make_mesh()), saves=False) as checkpoints:
        state, step = checkpoints.restore_model("best", shapes)
    arrays = state_arrays(state, joined)
    return WeightFile(
        directory,
        f"run, step {step}",
        "ours",
        arrays,
        file_sha256(directory / "config.json"),
        config.model.backbone,
        config.model.pixels,
        config.model.conventions,
        joined,
        tuple(config.model.pixel_mean),
        tuple(config.model.pixel_deviation),
    )
