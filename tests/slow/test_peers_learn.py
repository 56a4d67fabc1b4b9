"""The peers' methods learn, and every network of theirs and ours is trained by the command."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import nnx
from test_peers import check_command

from benchmarks.peers.methods import METHODS
from benchmarks.peers.setting import QUICK
from benchmarks.peers.training import make_step
from stochconv_jax.data.pipeline.shrink import shrink


def stripes(rng, canvas, low):
    """Images with one block of stripes, which lie or stand by the label."""
    labels = rng.integers(0, 2, 16)
    images = np.zeros((16, canvas, canvas, 1), np.uint8)
    block = np.repeat(np.uint8([[255], [0]] * 4), 8, axis=1)
    for image, label, (row, column) in zip(
        images, labels, rng.integers(0, canvas - 7, (16, 2)), strict=True
    ):
        image[row : row + 8, column : column + 8, 0] = block if label else block.T
    small = np.stack([shrink(image, (low, low))[..., None] for image in images])
    index = np.arange(16, dtype=np.int32)
    return {"image_low": small, "image_high": images, "label": labels, "index": index}


@pytest.mark.parametrize(("name", "steps"), [("attention sampling", 300), ("patch selection", 150)])
def test_a_peers_method_learns_where_there_is_one_thing_to_see(name, steps):
    method, setting = METHODS[name], dataclasses.replace(QUICK, canvas=28, memory=2, iteration=1)
    model = nnx.jit(lambda: method.make(setting, nnx.Rngs(jax.random.key(0, impl="rbg"))))()
    graph, *parts = nnx.split(model, nnx.Param, nnx.BatchStat)
    optimizer = method.optimizer(steps)
    state, step = (*parts, optimizer.init(parts[0])), make_step(method, graph, optimizer)
    rng, losses = np.random.default_rng(0), []
    for number in range(steps):
        state, loss = step(state, stripes(rng, 28, setting.low), jax.random.key(0), number)
        losses.append(float(loss))
    # Who cannot tell the two classes has log 2 = 0.69.
    assert np.mean(losses[-30:]) < 0.55


def test_the_command_trains_every_network(tmp_path):
    check_command([name for name in METHODS if "5 times" not in name], tmp_path)
