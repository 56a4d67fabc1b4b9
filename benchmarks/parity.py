"""How far our logits are from the published networks': python -m benchmarks.parity."""

import argparse
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import torch
from flax import nnx

from benchmarks.measure import RESULTS, report
from benchmarks.published_networks import published_network
from stochconv_jax.models import BACKBONES, TwoBranchNetwork, create_model
from stochconv_jax.models.backbone import Backbone
from stochconv_jax.models.weights.assignment import assign
from stochconv_jax.models.weights.weight_file import WeightFile

NETWORKS = (
    *(f"efficientnet_lite{number}" for number in range(5)),
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet18_small"),
    *("resnest50", "resnest101", "resnest200", "resnest269"),
)


class Twins(NamedTuple):
    """Logits of a published network and of ours, with the same random weights and statistics.

    Attributes:
      published: float32 [2, classes].
      ours: the same of the same images.
      published_parameters: trainable parameters of the published network.
      parameters: of ours.
    """

    published: np.ndarray
    ours: np.ndarray
    published_parameters: int
    parameters: int


def twins(backbone: str, side: int = 72, num_classes: int = 1000) -> Twins:
    """Fills a published network with random numbers, and ours with its arrays by their names."""
    published = published_network(backbone, num_classes).eval()
    randomise(published)
    family = BACKBONES[backbone]
    ours = create_model(family, seed=0, branches=("global",), num_outputs=num_classes)
    arrays = {name: value.numpy() for name, value in published.state_dict().items()}
    file = WeightFile(pathlib.Path(backbone), "PyTorch", "torch", arrays, "")
    assign(file, family, ours, classifier=True).fill(ours)
    images = np.random.default_rng(0).integers(0, 256, (2, side, side, 3)).astype(np.float32)
    parameters = jax.tree.leaves(nnx.state(ours, nnx.Param))
    return Twins(
        published_logits(published, family, images),
        np.asarray(our_logits(ours, images)),
        sum(value.numel() for value in published.parameters()),
        sum(value.size for value in parameters),
    )


@nnx.jit
def our_logits(model: TwoBranchNetwork, images: jax.Array) -> jax.Array:
    """Returns our logits of images of 0 to 255."""
    return model(images, None, jax.random.key(0))


def published_logits(network: Any, backbone: Backbone, images: np.ndarray) -> np.ndarray:
    """Returns PyTorch's logits of images of 0 to 255, normalised as ours are."""
    mean, deviation = backbone.pixels
    normalised = (images / 255 - np.array(mean)) / np.array(deviation)
    with torch.inference_mode():
        return network(torch.tensor(normalised).float().permute(0, 3, 1, 2)).numpy()


def randomise(network: Any) -> None:
    """Gives every weight and statistic a random value that keeps the activations near one."""
    rng = np.random.default_rng(0)
    # The last norm of a residual block: at scale one the sums of blocks grow with depth, until
    # rounding decides the logits.
    last = ("bn2.weight", "bn3.weight")
    for name, values in network.state_dict().items():
        if values.ndim > 1:
            drawn = rng.normal(0, np.sqrt(2 / np.prod(values.shape[1:])), values.shape)
        elif name.endswith(("running_var", "weight")):
            scale = 0.1 if name.count(".") > 1 and name.endswith(last) else 1
            drawn = scale * rng.uniform(0.5, 1.5, values.shape)
        elif values.dtype == torch.float32:
            drawn = rng.normal(0, 0.2, values.shape)
        else:
            continue
        values.copy_(torch.tensor(drawn))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints and keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    options = parser.parse_args(arguments)
    rows = []
    for name in options.networks:
        found = twins(name)
        largest = np.abs(found.published).max()
        worst = np.abs(found.ours - found.published).max() / largest
        rows.append(
            {
                "network": name,
                "parameters": f"{found.parameters:,}",
                "published": f"{found.published_parameters:,}",
                "worst difference by the largest logit": f"{worst:.1e}",
            }
        )
    report("parity", "float32, random weights, two 72x72 images", rows, options.results)


if __name__ == "__main__":
    main()
