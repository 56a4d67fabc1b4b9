"""A training step and a prediction, beside PyTorch's: python -m benchmarks.train_step."""

import argparse
import functools
import importlib.util
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.measure import RESULTS, milliseconds, report
from benchmarks.published_networks import published_network
from stochconv_jax.data.pipeline.batches import Batch
from stochconv_jax.huge_pages import restart_with_huge_pages
from stochconv_jax.inference.predict import make_predict
from stochconv_jax.models import BACKBONES, create_model
from stochconv_jax.models.backbone import stem_output_size
from stochconv_jax.ops import planes_shape
from stochconv_jax.runs.devices import make_mesh
from stochconv_jax.training.state import create_state
from stochconv_jax.training.step import make_train_step

BOTH = ("global", "stochastic")


class Network(NamedTuple):
    """What is measured: a backbone, its small image's side, its branches, rematerialised or not.

    The batch is divided by `divisor`, so that a large network fits into a workstation's memory.
    """

    backbone: str
    side: int
    branches: tuple[str, ...] = ("global",)
    remat: bool = False
    divisor: int = 1


NETWORKS = {
    "b0": Network("efficientnet_b0", 224),
    "b0, rematerialised": Network("efficientnet_b0", 224, remat=True),
    "split b0": Network("efficientnet_b0", 224, BOTH),
    "b4": Network("efficientnet_b4", 380, divisor=4),
    "lite0": Network("efficientnet_lite0", 224),
    "resnet18": Network("resnet18", 224),
    "resnest50": Network("resnest50", 224),
}


def make_batch(network: Network, batch: int, high: int) -> Batch:
    """Returns random images and labels, the large images as planes."""
    rng = np.random.default_rng(0)
    images = {
        "image_low": rng.integers(0, 256, (batch, network.side, network.side, 3), dtype=np.uint8),
        "label": rng.integers(0, 2, batch).astype(np.int32),
        "index": np.arange(batch, dtype=np.int32),
        "mask": np.ones(batch, bool),
    }
    if "stochastic" in network.branches:
        strides = BACKBONES[network.backbone].stem_strides
        planes = (batch, *planes_shape((high, high), strides))
        images["image_high"] = rng.integers(0, 256, planes, dtype=np.uint8)
    return images


def make_jax(
    network: Network, batch: int, high: int
) -> tuple[Callable[[], Any], Callable[[], Any], dict]:
    """Returns a training step, a prediction, and the step compiled: time, memory and text."""
    on_cpu = jax.default_backend() == "cpu"
    model = create_model(
        BACKBONES[network.backbone],
        seed=0,
        branches=network.branches,
        output_size=stem_output_size(BACKBONES[network.backbone], (network.side,) * 2),
        remat=network.remat,
        dtype=jnp.float32 if on_cpu else jnp.bfloat16,
    )
    optimizer = optax.rmsprop(1e-3, decay=0.99)
    images, key, mesh = make_batch(network, batch, high), jax.random.key(0), make_mesh()
    state = create_state(model, optimizer)
    weights = jax.tree.map(jnp.copy, (state.parameters, state.batch_stats))
    start = time.perf_counter()
    no_loss = np.float32(np.inf)
    step = make_train_step(model, optimizer, mesh).lower(state, images, key, no_loss).compile()
    seconds = time.perf_counter() - start
    memory = step.memory_analysis()
    peak = memory.temp_size_in_bytes + memory.argument_size_in_bytes
    kept = [state]

    def train() -> jax.Array:
        kept[0], metrics = step(kept[0], images, key, no_loss)
        return metrics.loss

    predict = make_predict(model, mesh, draws=1).lower(weights, images, key).compile()
    return (
        train,
        functools.partial(predict, weights, images, key),
        {"compile s": seconds, "peak MB": peak / 1e6, "compiled": step.as_text()},
    )


def make_torch(
    network: Network, batch: int, compiled: bool
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Returns the same of PyTorch's network, channels last; with AMP on a GPU."""
    import torch

    torch.manual_seed(0)
    device = "cpu" if jax.default_backend() == "cpu" else "cuda"
    model = _torch_network(network.backbone).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.99)
    images = torch.randn(batch, 3, network.side, network.side).to(
        device, memory_format=torch.channels_last
    )
    labels = torch.randint(0, 2, (batch,)).float().to(device)
    forward = torch.compile(model) if compiled else model
    autocast = functools.partial(torch.autocast, device, torch.bfloat16, enabled=device == "cuda")

    def train() -> float:
        model.train()
        optimizer.zero_grad(set_to_none=True)
        with autocast():
            logits = forward(images)[:, 0].float()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    def predict() -> Any:
        model.eval()
        with torch.inference_mode(), autocast():
            return forward(images).float().cpu()

    return train, predict


def _torch_network(backbone: str) -> Any:
    """Returns the published network with one output, drop path and padding as PyTorch's own."""
    if not backbone.startswith("efficientnet"):
        return published_network(backbone, 1)
    import geffnet

    return geffnet.create_model(backbone, num_classes=1, drop_rate=0.3, drop_connect_rate=0.2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints and keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--high", type=int, default=1024, help="side of the large images")
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument(
        "--compiled", action="store_true", help="PyTorch's by torch.compile as well"
    )
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    options = parser.parse_args(arguments)
    with_torch = all(map(importlib.util.find_spec, ("torch", "geffnet", "monai", "resnest")))
    if not with_torch:
        print("PyTorch is left out; `make benchmarks` installs it")
    rows = []
    for name in options.networks:
        network = NETWORKS[name]
        batch = max(1, options.batch // network.divisor)
        train, predict, about = make_jax(network, batch, options.high)
        functions = {"train": train, "predict": predict}
        if with_torch and network.branches == ("global",):
            for kind in ("PyTorch", "compiled PyTorch")[: 1 + options.compiled]:
                both = make_torch(network, batch, compiled=kind != "PyTorch")
                functions[f"{kind} train"], functions[f"{kind} predict"] = both
        times = milliseconds(functions, options.repeats)
        rows.append(_row(f"{name}, batch {batch}, {network.side}x{network.side}", times, about))
    dtype = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    setting = f"{dtype}, large images {options.high}x{options.high} uint8"
    report("train_step", setting, rows, options.results)


def _row(name: str, times: dict[str, float], about: dict) -> dict:
    row: dict[str, Any] = {"network": name}
    for what in ("train", "predict"):
        theirs = times.get(f"PyTorch {what}")
        row |= {
            f"{what} ms": times[what],
            f"PyTorch {what} ms": theirs,
            f"{what} ratio": theirs and times[what] / theirs,
        }
        if (compiled := times.get(f"compiled PyTorch {what}")) is not None:
            row[f"compiled PyTorch {what} ms"] = compiled
    return row | {key: about[key] for key in ("compile s", "peak MB")}


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
