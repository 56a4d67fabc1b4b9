import functools

import jax
import numpy as np
import optax
import pytest
from flax import nnx
from shallow_efficientnet import SHALLOW
from support import abstract, drawn
from toy_family import Toy

from stochconv_jax.models import create_model
from stochconv_jax.ops import polyphase
from stochconv_jax.runs.devices import make_mesh, replicated
from stochconv_jax.training.state import create_state
from stochconv_jax.training.step import make_train_step


def make_batch(step, size=8):
    rng = np.random.default_rng(step)
    high = rng.integers(0, 256, (size, 64, 64, 3)).astype(np.uint8)
    return {
        "image_low": high[:, ::2, ::2],
        "image_high": polyphase(high, (2, 2)),
        "label": rng.integers(0, 2, size).astype(np.int32),
        "index": rng.permutation(100)[:size].astype(np.int32),
        "mask": np.ones(size, bool),
    }


JOINED = {"join": "stem", "output_size": (16, 16)}
# Plain gradient descent: RMSProp would blow rounding up where a gradient is nearly zero.
OPTIMIZER = optax.sgd(0.05)


def make_model(**arguments):
    return drawn(SHALLOW, **JOINED, **arguments)


@functools.cache
def make_step(devices, **arguments):
    return make_train_step(make_model(**arguments), OPTIMIZER, make_mesh(devices))


@pytest.fixture(scope="module")
def on_one_device():
    return train_on(1)


def train_on(devices, steps=2, **arguments):
    state = create_state(make_model(**arguments), OPTIMIZER)
    # Where the step leaves it, or the second step would be compiled anew.
    state = jax.device_put(state, replicated(make_mesh(devices)))
    step, losses = make_step(devices, **arguments), []
    for number in range(steps):
        key = jax.random.fold_in(jax.random.key(3), number)
        state, metrics = step(state, make_batch(number), key, np.float32(np.inf))
        losses.append(float(metrics.loss))
    return state, losses, np.array(metrics.logits)


@pytest.mark.parametrize("devices", [2, 4])
def test_several_devices_make_the_same_step_as_one(on_one_device, devices):
    assert jax.device_count() == 4
    one, one_losses, one_seen = on_one_device
    several, several_losses, several_seen = train_on(devices)
    np.testing.assert_allclose(several_losses, one_losses, rtol=1e-4)
    np.testing.assert_allclose(several_seen, one_seen, rtol=1e-2, atol=1e-3)
    start = make_model()
    flat = [
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(parameters)])
        for parameters in (one.parameters, several.parameters, nnx.state(start, nnx.Param))
    ]
    moved = np.linalg.norm(flat[0] - flat[2])
    assert np.linalg.norm(flat[0] - flat[1]) < 1e-3 * moved
    for first, second in zip(
        jax.tree.leaves(one.batch_stats), jax.tree.leaves(several.batch_stats), strict=True
    ):
        np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-4)


def test_the_callers_model_is_left_as_it_was():
    model = make_model()
    make_train_step(model, OPTIMIZER, make_mesh(2))
    batch = make_batch(0)
    # In shapes alone: what went wrong was the trace, which met an axis of no mesh.
    logits = nnx.eval_shape(
        lambda model: model(batch["image_low"], batch["image_high"], jax.random.key(0), train=True),
        model,
    )
    assert logits.shape == (8, 1)


def test_the_rate_falls_when_the_validation_loss_does_not():
    model = create_model(Toy(), seed=0, output_size=(8, 16), branches=("global",))
    mesh = make_mesh(2)
    plateau = optax.contrib.reduce_on_plateau(factor=0.1, patience=1)
    optimizer = optax.chain(optax.sgd(0.05), plateau)
    state = jax.device_put(create_state(model, optimizer), replicated(mesh))
    step, scales = make_train_step(model, optimizer, mesh), []
    for validation_loss in (0.7, 0.5, 0.5, 0.5):
        state, _ = step(state, make_batch(0), jax.random.key(0), np.float32(validation_loss))
        scales.append(float(state.optimizer[1].scale))
    assert scales == pytest.approx([1, 1, 0.1, 0.01])


def test_rematerialising_changes_nothing_but_the_memory(on_one_device):
    (one, losses, _), (other, other_losses, _) = on_one_device, train_on(1, remat=True)
    np.testing.assert_allclose(other_losses, losses, rtol=1e-5)
    for first, second in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(second, first, rtol=1e-3, atol=1e-5)


def test_rematerialising_keeps_little_for_the_backward_pass():
    def kept_bytes(remat):
        model = abstract("efficientnet_tiny", remat=remat, branches=("global",))
        graph, parameters, rest = nnx.split(model, nnx.Param, ...)
        images = np.zeros((8, 224, 224, 3), np.uint8)

        def forward(parameters, rest):
            network = nnx.merge(graph, parameters, nnx.clone(rest))
            return network(images, None, jax.random.key(0), train=True)

        kept = jax.eval_shape(
            lambda parameters, rest: jax.vjp(lambda p: forward(p, rest), parameters)[1],
            parameters,
            rest,
        )
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(kept))

    assert kept_bytes(True) < 0.25 * kept_bytes(False)


def test_the_same_seed_gives_the_same_bits(on_one_device):
    (one, *_), (other, *_) = on_one_device, train_on(1)
    starts = [nnx.state(create_model(SHALLOW, seed=0, **JOINED)) for _ in range(2)]
    for pair in zip(*map(jax.tree.leaves, ((one, starts[0]), (other, starts[1]))), strict=True):
        np.testing.assert_array_equal(*pair)
