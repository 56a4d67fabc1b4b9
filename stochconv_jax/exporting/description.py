"""What config.json says: all that a program elsewhere, or this package, has to know."""

from typing import Any

import jax
from ml_collections import ConfigDict

from stochconv_jax import __version__
from stochconv_jax.config_limits import large_size
from stochconv_jax.exporting.program import Program
from stochconv_jax.keys import Purpose
from stochconv_jax.models.branch import StochasticBranch
from stochconv_jax.models.context import Context
from stochconv_jax.prediction.predictor import Predictor
from stochconv_jax.runs.run import Run
from stochconv_jax.saved_config import EXPORTED

# Where things lay on the machine that trained; nobody else is told.
PLACES = {
    "data": ("directory", "origin", "table", "prepared_directory", "feedback"),
    "model": ("weights",),
}


def describe(predictor: Predictor, program: Program, file: str) -> dict[str, Any]:
    """Returns the content of config.json.

    Args:
      predictor: the run, restored.
      program: of it.
      file: name of the one beside it that holds the network.
    """
    network, run = predictor.network, predictor.network.run
    outputs = [program.draws, run.num_outputs]
    return {
        EXPORTED: f"stochconv_jax {__version__}",
        "library_name": "stochconv_jax",
        "file": file,
        "classes": list(run.classes),
        "framing": run.framing.to_json() if run.sees_pixels else None,
        "inputs": [each._asdict() | {"shape": list(each.shape)} for each in program.inputs],
        "output": {"name": "logits", "dtype": "float32", "shape": outputs},
        "windows": _windows(run, program),
        "metadata": run.metadata.to_json() if run.metadata else None,
        "decision": {
            "threshold": predictor.threshold,
            # Why none could be chosen may name places of this machine.
            "note": predictor.threshold_note.partition(":")[0],
        },
        "checkpoint": run.config.eval.checkpoint,
        "step": network.step,
        "epochs": network.epochs,
        "data": dict(run.data),
        "run": without_places(run.config).to_dict(),
    }


def _windows(run: Run, program: Program) -> dict[str, Any] | None:
    """What tells where the windows lie; None for a network that draws none."""
    config = run.config
    model = run.abstract_model(config.eval.placement)
    for branch in model.branches.values():
        if isinstance(branch, StochasticBranch):
            index = jax.numpy.zeros(1, jax.numpy.int32)
            key = Context.of_pass(run.key(Purpose.EVALUATION), index).window_key
            seen = large_size(config.data)
            return {
                "placement": config.eval.placement or config.model.placement,
                "axes": config.model.axes,
                "per_image": config.model.per_image,
                "draws": program.draws * branch.pooled_draws,
                "count": branch.sampler.windows,
                "size": list(branch.window_size),
                "spans": [s - w + 1 for s, w in zip(seen, branch.window_size, strict=True)],
                "key": jax.random.key_data(key).tolist(),
            }
    return None


def without_places(config: ConfigDict) -> ConfigDict:
    """Returns a config whose PLACES are empty."""
    config = config.copy_and_resolve_references().unlock()
    for section, fields in PLACES.items():
        for field in fields:
            config[section][field] = type(config[section][field])()
    return config
