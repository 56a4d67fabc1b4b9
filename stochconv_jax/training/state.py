"""What a step of training changes, and how it is kept."""

from typing import Any, NamedTuple

import jax
import optax
from flax import nnx

from stochconv_jax.models import TwoBranchNetwork
from stochconv_jax.training.average import Average
from stochconv_jax.training.recipe import PLAIN, Recipe

ModelState = tuple[nnx.State, nnx.State]


class TrainState(NamedTuple):
    """Parameters, statistics, the optimizer's state, and the average of the weights, if any."""

    parameters: nnx.State
    batch_stats: nnx.State
    optimizer: optax.OptState
    average: Average | None = None

    @property
    def model(self) -> ModelState:
        """What is validated, saved as the model and evaluated: the average, where there is one."""
        kept = self if self.average is None else self.average
        return kept.parameters, kept.batch_stats

    @property
    def rest(self) -> Any:
        """What training needs besides `model` to go on."""
        if self.average is None:
            return self.optimizer
        return self.optimizer, self.parameters, self.batch_stats, self.average.steps

    @classmethod
    def of_saved(cls, model: ModelState, rest: Any, averages: bool) -> "TrainState":
        """Returns the state whose `model` and `rest` were kept."""
        if not averages:
            return cls(*model, rest)
        optimizer, parameters, batch_stats, steps = rest
        return cls(parameters, batch_stats, optimizer, Average(steps, *model))


def create_state(
    model: TwoBranchNetwork, optimizer: optax.GradientTransformation, recipe: Recipe = PLAIN
) -> TrainState:
    """Returns the state before the first step."""
    parameters, batch_stats = nnx.state(model, nnx.Param, nnx.BatchStat)
    learning, _ = recipe.rates.split(parameters)
    average = Average.start(parameters, batch_stats) if recipe.average_decay else None
    return TrainState(parameters, batch_stats, jax.jit(optimizer.init)(learning), average)
