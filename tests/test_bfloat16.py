"""A training step in bfloat16 beside the same one in float32, within the bounds that docs tell."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from shallow_efficientnet import SHALLOW
from support import drawn
from test_step import make_batch

from stochconv_jax.models.resnet import ResNet
from stochconv_jax.ops import images_from_planes, polyphase
from stochconv_jax.runs.devices import make_mesh, replicated
from stochconv_jax.training.state import create_state
from stochconv_jax.training.step import make_train_step

# Basic blocks in two stages, behind 7x7 kernels and max-pooling or behind 3x3 kernels.
RESNET, SMALL_RESNET = ResNet((1, 1), False), ResNet((1, 1), False, small=True)
SPLIT, PLAIN = {"join": "stem"}, {"branches": ("global",)}
# Of each network the distance of the gradients, relative to that of float32 from 0.
NETWORKS = {
    "split efficientnet": (SHALLOW, SPLIT, 0.05),
    "plain efficientnet": (SHALLOW, PLAIN, 0.05),
    "split resnet": (SMALL_RESNET, SPLIT, 0.1),
    "plain resnet": (RESNET, PLAIN, 0.3),
}


def step_in(dtype, backbone, network):
    """Returns the loss, the logits and the gradient of one step, a vector."""
    batch, stride = make_batch(0), backbone.stem_strides[0]
    images = images_from_planes(batch["image_high"])
    batch["image_high"] = polyphase(images, backbone.stem_strides)
    output_size = tuple(side // stride for side in batch["image_low"].shape[1:3])
    model = drawn(backbone, dtype=dtype, output_size=output_size, **network)
    # A rate of 1, so that the step is the gradient.
    optimizer, mesh = optax.sgd(1.0), make_mesh(1)
    start = flat(nnx.state(model, nnx.Param))
    state = jax.device_put(create_state(model, optimizer), replicated(mesh))
    step = make_train_step(model, optimizer, mesh)
    state, metrics = step(state, batch, jax.random.key(0), np.float32(np.inf))
    return float(metrics.loss), np.array(metrics.logits), start - flat(state.parameters)


def flat(parameters):
    leaves = jax.tree.leaves(parameters)
    assert all(leaf.dtype == jnp.float32 for leaf in leaves)
    return np.concatenate([np.ravel(leaf) for leaf in leaves])


def distance(one, other):
    return np.linalg.norm(one - other) / np.linalg.norm(other)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_in_bfloat16_is_near_that_in_float32(name):
    *network, bound = NETWORKS[name]
    loss, logits, gradient = step_in(jnp.bfloat16, *network)
    exact_loss, exact_logits, exact_gradient = step_in(jnp.float32, *network)
    assert loss == pytest.approx(exact_loss, rel=0.005)
    assert 0 < distance(logits, exact_logits) < 0.05
    assert 0 < distance(gradient, exact_gradient) < bound
