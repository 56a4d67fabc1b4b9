"""The thresholds of a run: chosen once on its validation split, and kept with it."""

import json
import pathlib
import sys
from typing import Any

from stochconv_jax.atomic_write import atomic_write
from stochconv_jax.data.dataset.image_dataset import ImageDataset
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.json_numbers import is_number
from stochconv_jax.evaluation.thresholds import RULES, choose_thresholds
from stochconv_jax.hosts.exchange import is_first, of_first
from stochconv_jax.inference.trained_network import TrainedNetwork
from stochconv_jax.saved_config import read_json


def run_thresholds(
    network: TrainedNetwork, dataset: ImageDataset | None = None
) -> dict[str, float]:
    """Returns the thresholds of a network of two classes, by the rule that chose each.

    They hold for one checkpoint, one number of draws and one placement of windows, and are kept in
    thresholds.json for the next time; where they are not there yet, the validation split is
    predicted.

    Args:
      network: of the run.
      dataset: the run's own images, where they are open already.

    Raises:
      InputError: the file is damaged, or the validation split has to be predicted and cannot be
        had.
    """
    if network.run.num_outputs > 1:
        return {}
    path = network.run.directory / "thresholds.json"
    kept = of_first(lambda: read_json(path) if path.is_file() else {})
    if kept.get("chosen_for") == chosen_for(network):
        return _whole(kept.get("thresholds"), path)
    print("choosing the threshold on the validation images, which is done once", file=sys.stderr)
    validation = network.predict_split(dataset or network.run.load_dataset(), "validation")
    scores = validation.probabilities.mean(axis=1)[:, 1]
    thresholds = choose_thresholds(validation.labels, scores)
    content: dict[str, Any] = {"chosen_for": chosen_for(network), "thresholds": thresholds}
    if is_first():
        atomic_write(path, json.dumps(content, indent=2) + "\n")
    return thresholds


def _whole(thresholds: Any, path: pathlib.Path) -> dict[str, float]:
    known = thresholds if isinstance(thresholds, dict) else {}
    numbers: list[Any] = [known.get(rule) for rule in RULES]
    # 2 stands for one above every probability.
    if not all(is_number(number) and 0 <= number <= 2 for number in numbers):
        raise InputError(
            f"{path} is damaged; delete it, and the thresholds are chosen again on the validation "
            "images"
        )
    return thresholds


def chosen_for(network: TrainedNetwork) -> dict[str, Any]:
    """Returns what a network's predictions depend on beside its run: it tells choices apart."""
    config = network.run.config
    placement = config.eval.placement or config.model.placement
    return {"step": network.step, "draws": config.eval.samples, "placement": placement}
