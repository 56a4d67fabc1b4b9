"""Windows that follow the evidence of the global branch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from toy_family import Toy

from stochconv_jax.inference.predict import draw_logits
from stochconv_jax.models import Context, create_model
from stochconv_jax.models.window_sampler import GuidedWindows
from stochconv_jax.ops.guided_windows import guide

KEY = jax.random.key(0)
LOW = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
HIGH = np.random.default_rng(1).integers(0, 256, (3, 128, 96, 3)).astype(np.uint8)
BATCH = {"image_low": LOW, "image_high": HIGH, "index": jnp.arange(3)}


def make(**arguments):
    return create_model(Toy(), seed=0, output_size=(8, 16), num_outputs=4, **arguments)


@nnx.jit
def forward(model, batch):
    return model.forward(batch, Context.of_pass(KEY, batch["index"]))


def test_guided_points_are_distributed_as_the_density():
    density = jnp.array([[1.0, 3.0, 0.0], [2.0, 1.0, 5.0]])
    side = (np.arange(240) + 0.5) / 240
    grid = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)
    points = np.array(jax.jit(guide)(grid.astype(np.float32), density))
    assert points.min() >= 0
    assert points.max() < 1
    found, *_ = np.histogram2d(*points.T, bins=(2, 3), range=((0, 1), (0, 1)))
    np.testing.assert_allclose(found / len(grid), density / density.sum(), atol=3e-3)
    # Uniform within a cell, too.
    within = points[(points[:, 0] >= 0.5) & (points[:, 1] >= 2 / 3)]
    np.testing.assert_allclose(within.mean(axis=0), [0.75, 5 / 6], atol=2e-3)


def test_without_evidence_guided_points_stay_where_they_are():
    points = jax.random.uniform(KEY, (500, 2))
    np.testing.assert_allclose(jax.jit(guide)(points, jnp.ones((3, 5))), points, atol=1e-5)


def test_windows_gather_where_the_evidence_is_and_the_floor_looks_everywhere():
    evidence = np.zeros((300, 4, 4), np.float32)
    evidence[:, 1, 2] = 1.0
    sampler = GuidedWindows(8, temperature=1.0, floor=0.25)

    @jax.jit
    def draw(index, evidence):
        return sampler(Context.of_pass(KEY, index), (400, 400), (21, 21), evidence)

    corners = np.array(draw(np.arange(300), evidence))
    assert corners.min() >= 0
    assert corners.max() <= 400 - 21
    cells = ((corners + 10) // 100).reshape(-1, 2)
    share = (cells == [1, 2]).all(axis=1).mean()
    expected = sampler.density(jnp.array(evidence))[0]
    assert share == pytest.approx(float(expected[1, 2]), abs=0.02)
    assert len(np.unique(cells, axis=0)) == 16
    # Evenly: each image has its share, not only all of them together.
    shares = (cells == [1, 2]).all(axis=1).reshape(300, 8).mean(axis=1)
    assert shares.std() < 0.75 * np.sqrt(share * (1 - share) / 8)


def test_the_evidence_is_how_far_a_place_moves_the_logits():
    model = make(placement="guided", branches=("stochastic", "global"))

    @nnx.jit
    def look(model, batch):
        found = model.fixed_outputs(batch, Context.of_pass(KEY, batch["index"]))
        return model.evidence(found), found["global"].last_map

    evidence, maps = map(np.array, look(model, BATCH))
    assert evidence.shape == maps.shape[:3]
    kernel = np.array(model.classifier.kernel[...])[10:]
    for image in range(3):
        moved = [row @ kernel for row in maps[image].reshape(-1, 10)]
        distance = np.linalg.norm(moved - np.mean(moved, axis=0), axis=1)
        np.testing.assert_allclose(evidence[image].ravel(), distance, atol=1e-5)


def test_a_bright_place_of_the_small_image_draws_the_windows():
    low = np.full((3, 32, 32, 3), 20, np.uint8)
    low[1, :8, 24:] = 250
    model = make(placement="guided", windows=6)
    corners = np.array(forward(model, {**BATCH, "image_low": low}).corners["stochastic"][1])
    # Windows of 33x33 in 128x96: those that touch the upper right eighth.
    assert ((corners[:, 0] < 32) & (corners[:, 1] + 33 > 72)).mean() >= 0.5


def test_guided_draws_differ_and_repeat():
    model = make(placement="guided", windows=2)

    @nnx.jit(static_argnames="draws")
    def run(model, draws):
        return draw_logits(model, BATCH, KEY, draws)

    logits = np.array(run(model, 3))
    assert np.abs(logits[:, 0] - logits[:, 1]).max() > 1e-4
    np.testing.assert_array_equal(run(model, 3), logits)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"join": 1}, "ask for join 'head', not 1"),
        ({"branches": ("stochastic",)}, "ask for a global branch"),
        ({"per_image": False}, "guided windows are drawn per image"),
        ({"placement": "odd"}, "placement is 'odd'; use one of independent, even, guided"),
    ],
)
def test_what_cannot_guide_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**{"placement": "guided", **arguments})
