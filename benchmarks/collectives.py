"""What devices exchange in a step, of its compiled program: python -m benchmarks.collectives."""

import argparse
import math
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx

from benchmarks.measure import RESULTS, report
from benchmarks.train_step import NETWORKS, Network, make_batch
from stochconv_jax.huge_pages import restart_with_huge_pages
from stochconv_jax.models import BACKBONES, create_model
from stochconv_jax.models.backbone import stem_output_size
from stochconv_jax.runs.devices import copy, make_mesh
from stochconv_jax.training.state import create_state
from stochconv_jax.training.step import make_train_step

BYTES = {"pred": 1, "s32": 4, "u32": 4, "f32": 4, "bf16": 2, "f16": 2}
# An instruction's result, one array or a tuple of them, and its name.
COLLECTIVE = re.compile(r"= (\S+|\(.*?\)) (all-reduce|all-gather|reduce-scatter)(?:-start)?\(")


def exchanged(program: str) -> dict[str, int]:
    """Returns the bytes of the results of a compiled program's collective operations, by name.

    They do not depend on the number of devices. In a ring of n, each device sends and receives
    2 (n-1)/n times the bytes of an all-reduce, and (n-1)/n times those of an all-gather.
    """
    found = {"all-reduce": 0, "all-gather": 0, "reduce-scatter": 0}
    for result, name in COLLECTIVE.findall(program):
        for dtype, shape in re.findall(r"(\w+)\[([\d,]*)\]", result):
            found[name] += BYTES[dtype] * math.prod(int(side) for side in shape.split(",") if side)
    return found


def measure(network: Network, batch: int, high: int) -> dict[str, float]:
    """Compiles a network's step for two devices; returns megabytes, expected and found."""
    backbone = BACKBONES[network.backbone]
    model = create_model(
        backbone,
        seed=0,
        branches=network.branches,
        output_size=stem_output_size(backbone, (network.side,) * 2),
    )
    optimizer, mesh = optax.rmsprop(1e-3, decay=0.99), make_mesh(2)
    state = copy(create_state(model, optimizer), mesh)
    images, key = make_batch(network, batch, high), jax.random.key(0)
    step: Any = make_train_step(model, optimizer, mesh)
    found = exchanged(step.lower(state, images, key, np.float32(1)).compile().as_text())
    parameters, statistics = (
        sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, kind)))
        for kind in (nnx.Param, nnx.BatchStat)
    )
    return {
        "parameters": parameters,
        "BatchNorm's channels": statistics // 2,
        "gradients, float32, MB": 4 * parameters / 1e6,
        # Sums of values and squares, and in the backward pass their two gradients.
        "BatchNorm's sums, MB": 4 * 2 * statistics / 1e6,
        "all-reduce, compiled, MB": found["all-reduce"] / 1e6,
        "all-gather, compiled, kB": found["all-gather"] / 1e3,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["b0", "split b0", "b4"])
    parser.add_argument("--batch", type=int, default=2, help="images, over both devices")
    parser.add_argument("--high", type=int, default=512, help="side of the large images")
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    options = parser.parse_args(arguments)
    rows = [
        {"network": name, **measure(NETWORKS[name], options.batch, options.high)}
        for name in options.networks
    ]
    setting = f"a step on two devices, batch {options.batch}, float32"
    report("collectives", setting, rows, options.results)


if __name__ == "__main__":
    restart_with_huge_pages()
    jax.config.update("jax_num_cpu_devices", 2)
    main()
