"""Which map tells the truth about a network: python -m benchmarks.explanations RUN.

Judged on the images of a split of the run, by what docs/explanations.md says: whether a map's
highest place and its positive part lie on the lesion, how the score falls when what it values is
hidden and rises when nothing else is shown, and whether it is another for a network that has
learnt nothing.
"""

import argparse
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from scipy.stats import spearmanr
from tqdm import tqdm

from benchmarks.shuffled_lesions import drawn_mask
from stochconv_jax.atomic_write import atomic_write
from stochconv_jax.data.dataset.image_dataset import ImageDataset
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.estimate import Estimate, group_numbers
from stochconv_jax.explanations.explainer import ROWS, Explainer
from stochconv_jax.explanations.faithfulness import CELLS, FaithfulnessCurves, faithfulness_curves
from stochconv_jax.explanations.page import seen_image
from stochconv_jax.explanations.picture import TITLES, blocks
from stochconv_jax.inference.photographs import FramedPhotograph, photograph_batches
from stochconv_jax.inference.probabilities import class_probabilities
from stochconv_jax.inference.trained_network import TrainedNetwork
from stochconv_jax.keys import Purpose
from stochconv_jax.markdown_table import markdown_table
from stochconv_jax.models.from_config import model_from_config
from stochconv_jax.runs.run import Run

FIGURES = {
    "pointing": "highest place on the lesion",
    "inside": "positive part on the lesion",
    "deletion": "score as it is hidden",
    "insertion": "score as it is shown",
    "untrained": "correlation with an untrained network's",
}
# What a method has to beat, though neither asks the network: noise, and the nearer to the middle,
# where lesions and windows are oftener, the better.
CHANCE, MIDDLE = "chance", "the middle"


def main(arguments: Sequence[str] | None = None) -> None:
    """Judges every method on a run, prints the table and writes explanations.json into it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=pathlib.Path, help="directory of the run")
    parser.add_argument("--split", default="validation", help="whose images explain")
    parser.add_argument("--images", type=int, default=200, help="of them, the first")
    parser.add_argument("--masks", type=pathlib.Path, help="directory of masks named as the images")
    options = parser.parse_args(arguments)
    network = TrainedNetwork.restore(Run.open(options.run))
    dataset = network.run.load_dataset()
    places = dataset.indices(options.split)[: options.images]
    crop = network.run.config.data.crop_size
    masks = np.stack([seen_image(_mask(dataset, each, options.masks), crop) for each in places])
    found = judge(network, dataset, places, masks)
    groups = group_numbers([dataset.examples[place].group for place in places])
    judged = {
        name: {figure: _estimate(values, groups) for figure, values in figures.items()}
        for name, figures in found.items()
    }
    written = {"images": len(places), "split": options.split, "methods": judged}
    atomic_write(options.run / "explanations.json", json.dumps(written, indent=2) + "\n")
    print(methods_table(judged))


def judge(
    network: TrainedNetwork, dataset: ImageDataset, places: np.ndarray, masks: np.ndarray
) -> dict[str, dict[str, np.ndarray]]:
    """Returns each figure of each method for every image, float64 [N], by their names."""
    photographs = [
        FramedPhotograph(dataset.examples[place].id, dataset.records[place]["image"], int(place))
        for place in places
    ]
    logits = np.stack([found for _, found in network.predict_photographs(photographs)])
    targets = class_probabilities(logits).mean(axis=1).argmax(axis=1)
    relevance = _maps(network, photographs, targets)
    untrained = _maps(_untrained(network), photographs, targets)
    rng = np.random.default_rng(0)
    relevance[CHANCE] = rng.uniform(size=(len(places), CELLS, CELLS))
    offsets = np.abs(np.arange(CELLS) - (CELLS - 1) / 2)
    nearness = 1 - np.hypot(*np.meshgrid(offsets, offsets)) / CELLS
    relevance[MIDDLE] = np.broadcast_to(nearness, relevance[CHANCE].shape)
    found = {}
    for name, maps in relevance.items():
        curves = _curves(network, photographs, targets, maps)
        found[name] = {
            **on_the_lesion(maps, masks),
            "deletion": np.concatenate([each.deletion_mean for each in curves])[: len(places)],
            "insertion": np.concatenate([each.insertion_mean for each in curves])[: len(places)],
        }
        if name in untrained:
            pairs = zip(maps, untrained[name], strict=True)
            found[name]["untrained"] = np.array([_correlation(*pair) for pair in pairs])
    return found


def methods_table(judged: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Returns the figures as a table in Markdown."""
    rows = []
    for name, figures in judged.items():
        cells = [_cell(figures[figure]) if figure in figures else "-" for figure in FIGURES]
        rows.append([TITLES.get(name, name), *cells])
    return markdown_table(["method", *FIGURES.values()], rows)


def _mask(dataset: ImageDataset, place: int, directory: pathlib.Path | None) -> np.ndarray:
    """What of an image is the lesion, bool, as large as the network's large image."""
    example = dataset.examples[place]
    size = cv2.imdecode(np.frombuffer(dataset.records[place]["image"], np.uint8), 1).shape[:2]
    if directory is None:
        return drawn_mask(example, size[0])
    path = directory / f"{pathlib.Path(example.id).stem}.png"
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise InputError(f"{path} is no mask that can be read; every image of the split needs one")
    return cv2.resize(mask, size[::-1], interpolation=cv2.INTER_AREA) > 127


def _maps(
    network: TrainedNetwork, photographs: Sequence[FramedPhotograph], targets: np.ndarray
) -> dict[str, np.ndarray]:
    explainer = Explainer.of_run(network)
    found = explainer.explain(photographs, targets.tolist())
    bar = tqdm(found, "explaining", len(photographs), unit="image", leave=False)
    rows = [{name: as_shown(maps) for name, maps in each.items()} for each in bar]
    return {name: np.stack([row[name] for row in rows]) for name in explainer.methods}


def as_shown(maps: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns a map as a page draws it: that of windows by how often they saw a place."""
    return blocks(maps["map"], maps["coverage"])[0] if "coverage" in maps else maps["map"]


def _untrained(network: TrainedNetwork) -> TrainedNetwork:
    """The same network with parameters drawn anew; running statistics are those of training."""
    run = network.run
    config = run.config.copy_and_resolve_references().unlock()
    config.seed += 1
    config.model.weights = ""
    model = model_from_config(config.lock(), run.num_outputs, False, run.metadata_inputs)
    return TrainedNetwork(run, (nnx.state(model, nnx.Param), network.state[1]), 0, 0)


def on_the_lesion(maps: np.ndarray, masks: np.ndarray) -> dict[str, np.ndarray]:
    """Returns whether each map's highest place is on the mask, and its positive part's share there.

    Args:
      maps: [N, rows, columns] of any size.
      masks: bool [N, H, W].
    """
    pointing, inside = [], []
    for values, mask in zip(maps, masks, strict=True):
        positive = np.maximum(_resized(values, mask.shape), 0)
        inside.append(positive[mask].sum() / max(positive.sum(), 1e-12))
        # Single pixels are noise: a place is as large as what is hidden at once.
        places = _resized(values, tuple(np.minimum(values.shape, CELLS)))
        highest = np.unravel_index(places.argmax(), places.shape)
        middle = [
            int((cell + 0.5) * side / cells)
            for cell, side, cells in zip(highest, mask.shape, places.shape, strict=True)
        ]
        pointing.append(mask[tuple(middle)])
    return {"pointing": np.array(pointing, float), "inside": np.array(inside, float)}


def _resized(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    larger = values.shape[0] < shape[0]
    how = cv2.INTER_LINEAR if larger else cv2.INTER_AREA
    return cv2.resize(values.astype(np.float32), shape[::-1], interpolation=how)


def _curves(
    network: TrainedNetwork,
    photographs: Sequence[FramedPhotograph],
    targets: np.ndarray,
    maps: np.ndarray,
) -> list[FaithfulnessCurves]:
    run = network.run
    model = run.abstract_model(run.config.eval.placement)
    graph, draws = nnx.graphdef(model), run.config.eval.samples

    @jax.jit
    def curves(state: Any, batch: Any, targets: jax.Array, maps: jax.Array) -> FaithfulnessCurves:
        key = run.key(Purpose.EVALUATION)
        return faithfulness_curves(nnx.merge(graph, *state), batch, key, targets, maps, draws)

    found = []
    for first, (own, batch) in enumerate(photograph_batches(photographs, run, ROWS)):
        chosen = slice(first * ROWS, first * ROWS + len(own))
        padded = [np.resize(each[chosen], (ROWS, *each.shape[1:])) for each in (targets, maps)]
        found.append(jax.device_get(curves(network.state, batch, *map(jnp.asarray, padded))))
    return found


def _correlation(values: np.ndarray, others: np.ndarray) -> float:
    """Spearman's, over cells as large as what is hidden at once; 0 where a map says nothing."""
    small = [
        cv2.resize(each.astype(np.float32), (CELLS, CELLS), interpolation=cv2.INTER_AREA).ravel()
        for each in (values, others)
    ]
    if any(np.ptp(each) == 0 for each in small):
        return 0.0
    return float(spearmanr(*small).statistic)


def _estimate(values: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    mean = float(values.mean())
    estimate = Estimate(mean, (values - mean) / len(values))
    return {"value": mean, "interval": list(estimate.interval(groups))}


def _cell(figure: Mapping[str, Any]) -> str:
    low, high = figure["interval"]
    return f"{figure['value']:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
