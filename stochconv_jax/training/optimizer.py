"""The optimizers: the paper's RMSProp, and those that fine-tuning is done with."""

import functools

import optax
from ml_collections import ConfigDict, FrozenConfigDict

from stochconv_jax.training.parts import PartRates, decays
from stochconv_jax.training.schedule import learning_rate_schedule

OPTIMIZERS = ("rmsprop", "adam", "adamw", "sgd")


def make_optimizer(config: ConfigDict, steps_per_epoch: int) -> optax.GradientTransformation:
    """Returns the optimizer of the `train` section, as PyTorch defines it.

    rmsprop: v = a * v + (1 - a) * g**2, from v = 0;  w = w - rate * g / (sqrt(v) + epsilon), with
    a = `rmsprop_decay` (PyTorch's alpha) and `rmsprop_epsilon` outside the root, where TensorFlow's
    starts from v = 1 and has epsilon inside. adam, adamw: decays 0.9 and 0.999, epsilon 1e-8.
    sgd: u = `momentum` * u + g;  w = w - rate * u.

    `weight_decay` d acts on kernels alone, neither on biases nor on normalisation: adamw subtracts
    rate * d * w, the others add d * w to the gradient. `clip_norm` bounds the norm of all gradients
    together before that. `accumulate` steps make one update by the mean of their gradients.

    The same object is returned for the same section, so that runs share what is compiled for it.
    """
    return _make_optimizer(FrozenConfigDict(config), steps_per_epoch)


@functools.lru_cache(maxsize=8)
def _make_optimizer(config: FrozenConfigDict, steps_per_epoch: int) -> optax.GradientTransformation:
    decay = optax.add_decayed_weights(config.weight_decay, decays)
    coupled = config.weight_decay > 0 and config.optimizer != "adamw"
    decoupled = config.weight_decay > 0 and config.optimizer == "adamw"
    rates = PartRates.from_config(config)
    schedule = learning_rate_schedule(config, steps_per_epoch)
    every = config.accumulate
    optimizer = optax.chain(
        *([optax.clip_by_global_norm(config.clip_norm)] if config.clip_norm else []),
        *([decay] if coupled else []),
        _direction(config),
        *([decay] if decoupled else []),
        optax.stateless(lambda updates, _: rates.scale(updates)),
        # Counted in steps, whatever number of them makes an update.
        optax.scale_by_learning_rate(lambda update: schedule(update * every)),
    )
    if every > 1:
        optimizer = optax.MultiSteps(optimizer, every).gradient_transformation()
    if config.schedule == "plateau":
        # Outside of the accumulation, since epochs need not be whole numbers of updates.
        optimizer = optax.chain(optimizer, _plateau(config, steps_per_epoch))
    return optimizer


def _direction(config: ConfigDict) -> optax.GradientTransformation:
    if config.optimizer == "rmsprop":
        return optax.scale_by_rms(
            decay=config.rmsprop_decay,
            eps=config.rmsprop_epsilon,
            initial_scale=0.0,
            eps_in_sqrt=False,
        )
    if config.optimizer == "sgd":
        return optax.trace(decay=config.momentum)
    return optax.scale_by_adam()


def _plateau(config: ConfigDict, steps_per_epoch: int) -> optax.GradientTransformation:
    """Lowers the rate when the validation loss has not fallen by 1e-4 of itself for some epochs."""
    return optax.contrib.reduce_on_plateau(
        factor=config.step_factor,
        patience=config.plateau_patience,
        rtol=1e-4,
        accumulation_size=steps_per_epoch,
    )
