"""Steps that freeze, average and weigh, on a network that compiles in seconds."""

import jax
import numpy as np
import optax
import pytest
from flax import nnx
from toy_family import Toy

from stochconv_jax.models import create_model
from stochconv_jax.models.conv import batch_norm
from stochconv_jax.ops import polyphase
from stochconv_jax.runs.devices import make_mesh, replicated
from stochconv_jax.training.parts import PartRates
from stochconv_jax.training.recipe import Recipe
from stochconv_jax.training.state import TrainState, create_state
from stochconv_jax.training.step import make_train_step


class NormalisedTail(nnx.Module):
    def __init__(self, features, dtype, rngs):
        self.norm = batch_norm(features, dtype=dtype, rngs=rngs)

    def __call__(self, x, train=False):
        return jax.nn.relu(self.norm(x, use_running_average=not train))


class NormalisedToy(Toy):
    """The toy family with BatchNorm in its stem."""

    def make_stem_tail(self, features, *, dtype, rngs):
        return NormalisedTail(features, dtype, rngs)


def make_batch(step):
    rng = np.random.default_rng(step)
    high = rng.integers(0, 256, (8, 64, 64, 3)).astype(np.uint8)
    return {
        "image_low": high[:, ::2, ::2],
        "image_high": polyphase(high, (4, 2)),
        "label": rng.integers(0, 3, 8).astype(np.int32),
        "index": np.arange(8, dtype=np.int32),
        "mask": np.ones(8, bool),
    }


def make_model(branches=("global",)):
    return create_model(
        NormalisedToy(),
        seed=0,
        num_outputs=3,
        output_size=(8, 16),
        branches=branches,
        join="stem",
        dropout_rate=0.0,
    )


def states(recipe, steps=2, devices=1, optimizer=None, branches=("global",)):
    """Returns the state before and after every step, in NumPy."""
    model, optimizer = make_model(branches), optimizer or optax.sgd(0.05)
    mesh = make_mesh(devices)
    # Where the step leaves it, or the second step would be compiled anew.
    state = jax.device_put(create_state(model, optimizer, recipe), replicated(mesh))
    step, found = make_train_step(model, optimizer, mesh, recipe), []
    for number in range(steps):
        found.append(jax.tree.map(np.array, state))
        state, _ = step(state, make_batch(number), jax.random.key(number), np.float32(1))
    return [*found, jax.tree.map(np.array, state)]


def changed(before, after):
    """Returns the names of the variables that are not what they were, to the bit."""
    old, new = dict(nnx.to_flat_state(before)), dict(nnx.to_flat_state(after))
    assert set(old) == set(new)
    return {path for path in old if (old[path][...] != new[path][...]).any()}


@pytest.mark.parametrize(
    ("rates", "part"),
    [
        (PartRates(backbone=0.0, branch=0.0), "classifier"),
        # What is frozen stands behind what learns as well, and passes its gradient on.
        (PartRates(backbone=0.0, head=0.0), "stochastic"),
    ],
)
def test_frozen_parts_stay_to_the_bit_and_have_no_optimizer_state(rates, part):
    branches = ("global", "stochastic") if part == "stochastic" else ("global",)
    before, after = states(Recipe(rates), 1, optimizer=optax.adam(1e-2), branches=branches)
    paths = {path for path, _ in nnx.to_flat_state(before.parameters)}
    expected = {path for path in paths if part in path}
    assert expected
    assert expected < paths
    assert changed(before.parameters, after.parameters) == expected
    assert len(jax.tree.leaves(after.optimizer)) == 1 + 2 * len(expected)
    assert changed(before.batch_stats, after.batch_stats)


def test_frozen_statistics_stay():
    before, *_, after = states(Recipe(freeze_batch_norm=True))
    assert not changed(before.batch_stats, after.batch_stats)
    assert changed(before.parameters, after.parameters)


def test_the_average_is_that_of_its_formula_over_updates_and_what_is_evaluated():
    accumulate = 2
    optimizer = optax.MultiSteps(optax.sgd(0.05), accumulate).gradient_transformation()
    recipe = Recipe(average_decay=0.15, accumulate=accumulate)
    first, *found = states(recipe, 4, optimizer=optimizer)
    average = jax.tree.leaves((first.parameters, first.batch_stats))
    for number, state in enumerate(found):
        update, rest = divmod(number + 1, accumulate)
        if not rest:
            decay = min(0.15, update / (9 + update))
            weights = jax.tree.leaves((state.parameters, state.batch_stats))
            average = [decay * a + (1 - decay) * w for a, w in zip(average, weights, strict=True)]
        for ours, expected in zip(jax.tree.leaves(state.model), average, strict=True):
            np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)
    kept = TrainState.of_saved(found[-1].model, found[-1].rest, averages=True)
    jax.tree.map(np.testing.assert_array_equal, kept, found[-1])


def test_four_devices_make_the_weighted_step_of_one():
    recipe = Recipe(class_weights=(1.0, 0.1, 5.0), label_smoothing=0.1, average_decay=0.9)
    one, four = states(recipe)[-1], states(recipe, devices=4)[-1]
    for ours, expected in zip(jax.tree.leaves(four), jax.tree.leaves(one), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4)
