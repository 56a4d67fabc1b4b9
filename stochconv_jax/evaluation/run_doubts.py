"""How doubtful a run's validation images are: measured once, and kept with the run."""

import json
from typing import Any

import numpy as np

from stochconv_jax.atomic_write import atomic_write
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.deferral import doubts
from stochconv_jax.evaluation.json_numbers import is_number
from stochconv_jax.evaluation.run_thresholds import chosen_for
from stochconv_jax.inference.trained_network import TrainedNetwork
from stochconv_jax.saved_config import read_json

PERCENTILES = np.linspace(0, 100, 101)


def doubt_limit(network: TrainedNetwork, threshold: float, share: float) -> float:
    """Returns the `confidence` of `doubts` from which an image is left to a person.

    It is the 1 - share quantile over the validation split. The quantiles hold for one checkpoint,
    threshold, number of draws and placement of windows, and are kept in doubts.json.

    Args:
      network: of the run.
      threshold: that it decides by.
      share: of the validation images that would be left to a person, in [0, 1].

    Raises:
      InputError: the file is damaged, or the validation split has to be predicted and cannot be
        had.
    """
    path = network.run.directory / "doubts.json"
    measured_for = chosen_for(network) | {"threshold": threshold}
    kept = read_json(path) if path.is_file() else {}
    if kept.get("measured_for") != measured_for:
        validation = network.predict_split(network.run.load_dataset(), "validation")
        found = doubts(validation.probabilities, threshold)["confidence"]
        measured = np.percentile(found, PERCENTILES).tolist()
        content: dict[str, Any] = {"measured_for": measured_for, "percentiles": measured}
        atomic_write(path, json.dumps(content, indent=2) + "\n")
        kept = content
    percentiles: Any = kept.get("percentiles")
    whole = isinstance(percentiles, list) and len(percentiles) == len(PERCENTILES)
    if not whole or not all(map(is_number, percentiles)) or percentiles != sorted(percentiles):
        raise InputError(
            f"{path} is damaged; delete it, and the doubts are measured again on the validation "
            "images"
        )
    return float(np.interp(100 * (1 - share), PERCENTILES, percentiles))
