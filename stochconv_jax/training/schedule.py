"""How the learning rate goes over the epochs."""

import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

SCHEDULES = ("paper", "cosine", "steps", "plateau")


def learning_rate_schedule(config: ConfigDict, steps_per_epoch: int) -> optax.Schedule:
    """Returns rate(step) of the `train` section; r is `learning_rate`, epochs e count from 0.

    paper: r for e up to c, r * d**(e - c) after, c `constant_epochs`, d `decay_per_epoch`
    cosine: r * (1 + cos(pi * step / steps)) / 2, steps those of all `epochs`
    steps: r * f**floor(e / n), f `step_factor`, n `step_epochs`
    plateau: r; `optax.contrib.reduce_on_plateau` lowers it

    times min(1, (step + 1) / w), w the steps of `warmup_epochs`.

    Source of the first: Reekie 2021, section 5.1.1.
    """
    rate, total = config.learning_rate, config.epochs * steps_per_epoch
    schedules = {
        "paper": lambda: optax.exponential_decay(
            rate,
            transition_steps=steps_per_epoch,
            decay_rate=config.decay_per_epoch,
            transition_begin=config.constant_epochs * steps_per_epoch,
            staircase=True,
        ),
        "cosine": lambda: optax.cosine_decay_schedule(rate, total),
        "steps": lambda: optax.exponential_decay(
            rate,
            transition_steps=config.step_epochs * steps_per_epoch,
            decay_rate=config.step_factor,
            staircase=True,
        ),
        "plateau": lambda: optax.constant_schedule(rate),
    }
    schedule = schedules[config.schedule]()
    warmup = round(config.warmup_epochs * steps_per_epoch)
    if not warmup:
        return schedule
    return lambda step: schedule(step) * jnp.minimum(1.0, (step + 1) / warmup)
