"""A run's network as a file of weights by our own names, statistics included."""

import json
import pathlib

from stochconv_jax.inference.exported_network import WEIGHTS
from stochconv_jax.inference.trained_network import TrainedNetwork
from stochconv_jax.models.weights.safetensors_file import write_safetensors_file
from stochconv_jax.models.weights.state_arrays import state_arrays


def write_weights(directory: pathlib.Path, network: TrainedNetwork) -> None:
    """Writes model.safetensors; what it says of itself is enough for `model.weights` of a run."""
    model = network.run.config.model
    joined = len(model.branches) > 1
    about = {
        "backbone": model.backbone,
        "pixels": model.pixels,
        "conventions": model.conventions,
        "pixel_mean": json.dumps(list(model.pixel_mean)),
        "pixel_deviation": json.dumps(list(model.pixel_deviation)),
        "joined": str(joined),
    }
    write_safetensors_file(directory / WEIGHTS, state_arrays(network.state, joined), about)
