import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import base
from stochconv_jax.training.optimizer import learning_rate_schedule, make_optimizer


def test_rmsprop_is_pytorchs():
    """The formula in the documentation of torch.optim.RMSprop, without momentum or centering."""
    config = base.get_config().train
    gradients = np.random.default_rng(0).normal(size=(20, 5)) * [1e-8, 1e-3, 1, 10, 0]
    weights, average = np.ones(5), np.zeros(5)
    optimizer = make_optimizer(config, steps_per_epoch=100)
    ours = jnp.ones(5)
    state = optimizer.init(ours)
    for gradient in gradients:
        average = 0.99 * average + 0.01 * gradient**2
        weights = weights - 0.001 * gradient / (np.sqrt(average) + 1e-8)
        updates, state = optimizer.update(jnp.array(gradient, jnp.float32), state, ours)
        ours = optax.apply_updates(ours, updates)
    np.testing.assert_allclose(ours, weights, rtol=1e-5)


def test_the_rate_is_constant_and_then_decays_by_epoch():
    schedule = learning_rate_schedule(base.get_config().train, steps_per_epoch=10)
    rates = [float(schedule(epoch * 10 + step)) for epoch in range(20) for step in (0, 9)]
    assert rates[:32] == pytest.approx([1e-3] * 32)
    assert rates[32:36] == pytest.approx([9e-4, 9e-4, 8.1e-4, 8.1e-4])
