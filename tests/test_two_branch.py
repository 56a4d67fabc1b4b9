import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from shallow_efficientnet import SHALLOW
from support import abstract, count_parameters, drawn

from stochconv_jax.models import BACKBONES
from stochconv_jax.models.creation import initial_rngs, model_in_shapes
from stochconv_jax.ops import polyphase

BATCH = 4


def make_images(high=64, low=32):
    rng = np.random.default_rng(0)
    return (
        rng.integers(0, 256, (BATCH, low, low, 3)).astype(np.uint8),
        polyphase(rng.integers(0, 256, (BATCH, high, high, 3)).astype(np.uint8), (2, 2)),
    )


@nnx.jit(static_argnames="train")
def apply(model, image_low, image_high, key, image_index=None, train=False):
    return model(image_low, image_high, key, image_index, train)


@functools.cache
def make_model(**arguments):
    """A network whose running statistics fit the images, so that its logits differ visibly."""
    defaults = {"output_size": (16, 16), "num_outputs": 3, "batch_norm_momentum": 0.0}
    model = drawn(SHALLOW, **(defaults | arguments))
    apply(model, *make_images(), jax.random.key(9), train=True)
    return model


# Of the same arguments once.
shapes = functools.cache(abstract)


# What the paper's definitions give with one output; the paper says 4M, 4.2M, 6M and 8.0M.
PARAMETERS = {
    "base": ({"branches": ("global",)}, 4_008_829),
    "base with a 64-channel stem": ({"branches": ("global",), "stem_features": 64}, 4_012_197),
    "pure stochastic": ({"branches": ("stochastic",)}, 4_008_829),
    "stochastic stem": ({"join": "stem"}, 4_012_197),
    "stochastic skip": ({"join": 3}, 4_140_329),
    "full split": ({"join": "head"}, 8_017_657),
    "two ordinary branches": ({"branches": ("global", "global")}, 8_017_657),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_counts(name):
    arguments, expected = PARAMETERS[name]
    assert count_parameters(shapes(**arguments)) == expected


@nnx.jit(static_argnames="make")
def keys(make, seed):
    rngs = make(seed)
    return [jax.random.key_data(rngs.params()) for _ in range(3)]


def test_initial_parameters_are_of_flaxs_own_keys():
    seed = jax.random.key(7)
    np.testing.assert_array_equal(keys(initial_rngs, seed), keys(nnx.Rngs, seed))
    np.testing.assert_array_equal(keys(initial_rngs, seed), keys.__wrapped__(initial_rngs, seed))


def test_stem_widths_are_the_papers():
    # B4 with a block a stage: its widths do not depend on how many there are.
    shallow_b4 = dataclasses.replace(BACKBONES["efficientnet_b4"], depth=0.25)
    b0 = shapes(join="stem")
    b4 = model_in_shapes(shallow_b4, join="stem")
    assert b0.branches["stochastic"].conv.kernel.shape[-1] == 32
    assert b0.branches["global"].conv.kernel.shape[-1] == 32
    assert b0.trunk.stage1[0].depthwise.kernel.shape[-1] == 64
    assert b4.trunk.stage1[0].depthwise.kernel.shape[-1] == 96


def test_the_skip_joins_two_branches_of_five_blocks():
    model = shapes(join=3)
    assert [
        sum(len(branch.stages.blocks(number)) for number in branch.stages.numbers)
        for branch in model.branches.values()
    ] == [5, 5]
    assert model.trunk.stage4[0].expand.kernel.shape[0] == 80


@pytest.mark.parametrize("join", ["stem", "1", "head"])
def test_any_join_sees_both_images(join):
    model = make_model(join=join)
    low, high = make_images()
    key = jax.random.key(0)
    logits = apply(model, low, high, key)
    assert logits.shape == (BATCH, 3)
    assert logits.dtype == jnp.float32
    assert (np.abs(apply(model, 255 - low, high, key) - logits) > 1e-3).any(axis=1).all()
    assert (np.abs(apply(model, low, 255 - high, key) - logits) > 1e-3).any(axis=1).all()


def test_other_windows_give_other_logits_and_the_same_key_the_same_bits():
    model, images = make_model(), make_images()
    first, again, other = (apply(model, *images, jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any(axis=1).all()


def test_images_and_planes_are_the_same_to_the_network():
    model = make_model(branches=("stochastic",))
    images = np.random.default_rng(0).integers(0, 256, (BATCH, 64, 64, 3)).astype(np.uint8)
    logits = apply(model, None, images, jax.random.key(0))
    assert np.std(logits) > 1e-3
    np.testing.assert_allclose(
        logits, apply(model, None, polyphase(images, (2, 2)), jax.random.key(0)), atol=1e-5
    )


def test_the_folded_normalisation_is_that_of_the_ordinary_stem():
    """With one window as large as the image both stems see the same pixels."""
    model = drawn(SHALLOW, join="stem", windows=1, output_size=(15, 15))
    low = np.random.default_rng(0).integers(0, 256, (BATCH, 32, 32, 3)).astype(np.uint8)
    ordinary, stochastic = (model.branches[name].conv for name in ("global", "stochastic"))
    stochastic.kernel[...] = ordinary.kernel[...]
    expected = ordinary(low)[:, :15, :15]
    actual = stochastic(low, jnp.zeros((BATCH, 1, 2), jnp.int32))
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("train", [False, True])
def test_what_an_image_meets_depends_on_its_index_and_not_on_its_place(train):
    model = make_model()
    low, high = make_images()
    index, order = jnp.array([5, 2, 9, 4]), np.array([2, 0, 3, 1])
    key = jax.random.key(0)
    logits = apply(nnx.clone(model), low, high, key, index, train)
    moved = apply(nnx.clone(model), low[order], high[order], key, index[order], train)
    np.testing.assert_allclose(moved, logits[order], rtol=1e-3, atol=1e-4)
    other = apply(nnx.clone(model), low, high, key, index + 100, train)
    assert (np.abs(other - logits) > 1e-3).any(axis=1).all()


def test_training_updates_the_statistics_and_evaluation_does_not():
    model, images = nnx.clone(make_model()), make_images()
    before = np.array(model.branches["stochastic"].stem_tail.norm.mean[...])
    apply(model, *images, jax.random.key(0))
    np.testing.assert_array_equal(model.branches["stochastic"].stem_tail.norm.mean[...], before)
    apply(model, *images, jax.random.key(0), train=True)
    assert (model.branches["stochastic"].stem_tail.norm.mean[...] != before).all()


def test_bfloat16_networks_keep_float32_parameters_and_logits():
    model = shapes("efficientnet_tiny", dtype=jnp.bfloat16, output_size=(16, 16))
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(model))} == {jnp.dtype("float32")}
    logits = nnx.eval_shape(lambda model: model(*make_images(), jax.random.key(0)), model)
    assert logits.dtype == jnp.float32


def test_what_makes_no_network_is_refused_by_name():
    for arguments, message in [
        ({"join": "neck"}, "join is 'neck'; use 'stem', a stage from 1 to 7, or 'head'"),
        ({"join": 8}, "join is 8"),
        ({"branches": ("local",)}, "branches are"),
        ({"windows": 5}, "5 windows do not divide 32 kernels"),
    ]:
        with pytest.raises(ValueError, match=message):
            abstract(**arguments)
