import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from configs import base
from stochconv_jax.training.optimizer import make_optimizer
from stochconv_jax.training.schedule import learning_rate_schedule

# The first column is a kernel's, the second a bias's.
GRADIENTS = np.random.default_rng(0).normal(size=(12, 2, 4, 1)) * [[1e-3], [1], [10], [0]]
START = np.linspace(-1, 1, 4)[:, None]


def train_config(**fields):
    with base.get_config().train.unlocked() as config:
        config.update(fields)
    return config


def updated(config, steps_per_epoch=1000, values=None, gradients=GRADIENTS):
    """Returns kernel and bias after every step."""
    optimizer = optax.with_extra_args_support(make_optimizer(config, steps_per_epoch))
    weights = {"kernel": jnp.array(START), "bias": jnp.array(START[:, 0])}
    state, update, found = optimizer.init(weights), jax.jit(optimizer.update), []
    for number, (kernel, bias) in enumerate(gradients.astype(np.float32)):
        value = np.float32(values[number] if values else 1)
        given = {"kernel": kernel, "bias": bias[:, 0]}
        updates, state = update(given, state, weights, value=value)
        weights = optax.apply_updates(weights, updates)
        found.append((np.asarray(weights["kernel"]), np.asarray(weights["bias"])))
    return found


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


@pytest.mark.parametrize(
    ("name", "theirs", "arguments"),
    [
        ("rmsprop", "RMSprop", {"alpha": 0.99}),
        ("adam", "Adam", {}),
        ("adamw", "AdamW", {}),
        ("sgd", "SGD", {"momentum": 0.9}),
    ],
)
@pytest.mark.parametrize("clip_norm", [0.0, 3.0])
def test_every_optimizer_is_pytorchs_and_spares_biases_its_decay(
    name, theirs, arguments, clip_norm
):
    config = train_config(optimizer=name, weight_decay=0.1, clip_norm=clip_norm)
    kernel, bias = (
        torch.nn.Parameter(torch.tensor(start, dtype=torch.float32))
        for start in (START, START[:, 0])
    )
    groups = [{"params": [kernel]}, {"params": [bias], "weight_decay": 0.0}]
    optimizer = getattr(torch.optim, theirs)(groups, lr=1e-3, weight_decay=0.1, **arguments)
    for gradient, (ours, our_bias) in zip(GRADIENTS, updated(config), strict=True):
        kernel.grad = torch.tensor(gradient[0], dtype=torch.float32)
        bias.grad = torch.tensor(gradient[1, :, 0], dtype=torch.float32)
        if clip_norm:
            torch.nn.utils.clip_grad_norm_([kernel, bias], clip_norm)
        optimizer.step()
        np.testing.assert_allclose(ours, kernel.detach(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(our_bias, bias.detach(), rtol=1e-5, atol=1e-6)


def test_accumulated_gradients_make_the_step_of_their_mean_at_its_rate():
    fields = {"optimizer": "adamw", "weight_decay": 0.1, "schedule": "steps", "step_epochs": 1}
    ours = updated(train_config(**fields, accumulate=3), steps_per_epoch=6)
    means = GRADIENTS.reshape(4, 3, 2, 4, 1).mean(axis=1)
    # The rate falls after 6 steps, which are 2 updates.
    expected = updated(train_config(**fields), steps_per_epoch=2, gradients=means)
    np.testing.assert_array_equal(ours[0][0], START.astype(np.float32))
    for number, (kernel, bias) in enumerate(expected):
        np.testing.assert_allclose(ours[3 * number + 2][0], kernel, rtol=1e-5)
        np.testing.assert_allclose(ours[3 * number + 2][1], bias, rtol=1e-5)


def rates(steps=40, **fields):
    schedule = learning_rate_schedule(train_config(**fields), steps_per_epoch=10)
    return [float(schedule(step)) for step in range(steps)]


def test_the_rate_is_constant_and_then_decays_by_epoch():
    found = rates(200)
    assert found[:160] == pytest.approx([1e-3] * 160)
    assert found[160:180] == pytest.approx([9e-4] * 10 + [8.1e-4] * 10)


def test_the_rate_follows_a_cosine_from_its_warm_up_to_the_last_epoch():
    found = rates(schedule="cosine", epochs=4, warmup_epochs=0.5)
    cosine = [0.5e-3 * (1 + np.cos(np.pi * step / 40)) for step in range(40)]
    risen = [min(1, (step + 1) / 5) * rate for step, rate in enumerate(cosine)]
    assert found == pytest.approx(risen, rel=1e-4)


def test_the_rate_falls_by_steps():
    found = rates(schedule="steps", step_epochs=2, step_factor=0.1)
    assert found == pytest.approx([1e-3] * 20 + [1e-4] * 20)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_rate_falls_after_epochs_without_a_lower_validation_loss(accumulate):
    """Epochs of 3 steps, which are no whole number of updates where two steps make one."""
    config = train_config(
        optimizer="sgd",
        momentum=0.0,
        schedule="plateau",
        plateau_patience=1,
        step_factor=0.5,
        accumulate=accumulate,
        learning_rate=1.0,
    )
    losses = [1e30, 0.7, 0.6, 0.6, 0.5, 0.5]
    values = np.repeat(losses, 3).tolist()
    found = updated(config, 3, values, np.ones((18, 2, 4, 1)))
    moved = -np.diff([START[0, 0], *(kernel[0, 0] for kernel, _ in found)])
    # An epoch's loss is heard of in the next, whose last step is the first to be smaller.
    scales = np.array([1.0] * 11 + [0.5] * 6 + [0.25])
    expected = scales * (np.arange(18) % accumulate == accumulate - 1)
    assert moved == pytest.approx(expected, abs=1e-5)
