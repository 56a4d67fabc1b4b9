"""Window maps: carried back to where the windows lay, whole, and nowhere else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import drawn
from toy_family import Toy

from stochconv_jax.explanations.window_map import carry_back, window_map
from stochconv_jax.inference.predict import draw_logits
from stochconv_jax.ops import polyphase

KEY = jax.random.key(5)
RNG = np.random.default_rng(0)


def network(**arguments):
    arguments = {"output_size": (4, 6), "windows": 3} | arguments
    return drawn(Toy(), num_outputs=1, **arguments)


def batch_of(high):
    """Two views of images [B, 40, 32, 3]."""
    return {
        "image_low": high[:, ::4, ::4],
        "image_high": polyphase(high, Toy.stem_strides),
        "index": np.arange(len(high), dtype=np.int32),
    }


def images(count=2):
    return RNG.integers(0, 256, (count, 40, 32, 3)).astype(np.uint8)


def mapped(model, batch, target=1, draws=2, steps=16):
    targets = jnp.full(len(batch["index"]), target)
    return jax.jit(lambda batch: window_map(model, batch, KEY, targets, draws, steps))(batch)


def score(model, batch, draws=2):
    return jax.jit(lambda batch: draw_logits(model, batch, KEY, draws).mean(axis=1)[:, 0])(batch)


def test_maps_are_put_where_their_windows_lay():
    attribution = RNG.normal(size=(2, 3, 4, 5, 6)).astype(np.float32)
    starts = RNG.integers(0, 4, (2, 3 * 2, 2))
    found = carry_back(jnp.array(attribution), jnp.array(starts), (8, 9))
    expected, seen = np.zeros((2, 2, 8, 9))
    for image, draw, kernel in np.ndindex(2, 3, 6):
        top, left = starts[image, draw * 2 + kernel // 3]
        expected[image, top : top + 4, left : left + 5] += attribution[image, draw, :, :, kernel]
        seen[image, top : top + 4, left : left + 5] += 1 / 18
    np.testing.assert_allclose(found.attribution, expected, atol=1e-5)
    np.testing.assert_allclose(found.coverage, seen, atol=1e-6)
    assert np.isnan(found.per_look)[seen == 0].all()


@pytest.mark.parametrize(
    "arguments",
    [{}, {"join": "stem"}, {"pooled_draws": 2, "placement": "guided"}],
    ids=str,
)
def test_a_map_adds_up_to_what_the_windows_brought(arguments):
    if arguments.get("join") == "stem":
        arguments = arguments | {"output_size": (3, 4)}
    model, batch = network(**arguments), batch_of(images())
    found = mapped(model, batch)
    with_windows = score(model, batch)
    # Without kernels in its stem a stochastic branch sees nothing.
    kernel = model.branches["stochastic"].conv.kernel
    kernel[...] = jnp.zeros_like(kernel[...])
    without = score(model, batch)
    total = found.attribution.sum(axis=(1, 2))
    np.testing.assert_allclose(total, with_windows - without, rtol=1e-2, atol=1e-4)
    height, width = model.branches["stochastic"].conv.output_size
    np.testing.assert_allclose(found.coverage.sum(axis=(1, 2)), height * width, rtol=1e-5)


def test_where_there_is_nothing_nothing_is_found():
    high = np.full((1, 40, 32, 3), 127.5, np.float32)  # what the pixels' normalisation calls 0
    high[:, 16:24, 12:20] = RNG.uniform(0, 256, (8, 8, 3))
    found = mapped(network(windows=6), batch_of(high), draws=16)
    rows, columns = np.nonzero(np.abs(found.attribution[0]) > 1e-7)
    # Cells of 4x2 pixels; a kernel of 5x3 reaches 2 and 1 pixels further.
    assert set(rows) <= set(range(3, 7))
    assert set(columns) <= set(range(5, 11))
    assert np.asarray(found.coverage[0, rows, columns] > 0).all()


def test_the_other_class_has_the_opposite_map():
    model, batch = network(), batch_of(images())
    against, towards = (mapped(model, batch, target, 1, 2) for target in (0, 1))
    np.testing.assert_allclose(against.attribution, -towards.attribution, atol=1e-6)


def test_a_network_without_windows_says_so():
    with pytest.raises(ValueError, match="no stochastic branch"):
        window_map(network(branches=("global",)), batch_of(images()), KEY, jnp.ones(2), 1)
