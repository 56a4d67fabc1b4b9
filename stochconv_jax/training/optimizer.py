"""The paper's optimizer: RMSProp at a constant rate, then decaying epoch by epoch."""

import optax
from ml_collections import ConfigDict


def learning_rate_schedule(config: ConfigDict, steps_per_epoch: int) -> optax.Schedule:
    """Returns rate(step) = r for epochs 0 to c, r * d**(epoch - c) after, epochs counted from 0.

    r is `learning_rate`, c `constant_epochs`, d `decay_per_epoch` of the `train` section.

    Source: Reekie 2021, section 5.1.1.
    """
    return optax.exponential_decay(
        config.learning_rate,
        transition_steps=steps_per_epoch,
        decay_rate=config.decay_per_epoch,
        transition_begin=config.constant_epochs * steps_per_epoch,
        staircase=True,
    )


def make_optimizer(config: ConfigDict, steps_per_epoch: int) -> optax.GradientTransformation:
    """Returns RMSProp as PyTorch defines it.

    v = a * v + (1 - a) * g**2, from v = 0;  w = w - rate * g / (sqrt(v) + epsilon)

    with a = `rmsprop_decay` (PyTorch's alpha) and `rmsprop_epsilon` outside the root. TensorFlow's
    RMSProp starts from v = 1 and has epsilon inside the root.
    """
    return optax.rmsprop(
        learning_rate_schedule(config, steps_per_epoch),
        decay=config.rmsprop_decay,
        eps=config.rmsprop_epsilon,
        initial_scale=0.0,
        eps_in_sqrt=False,
    )
