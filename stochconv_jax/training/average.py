"""An average of the weights over the steps of training."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx


class Average(NamedTuple):
    """Parameters and statistics averaged over `steps` steps, int32 []."""

    steps: jax.Array
    parameters: nnx.State
    batch_stats: nnx.State

    @classmethod
    def start(cls, parameters: nnx.State, batch_stats: nnx.State) -> "Average":
        """Returns the average before the first step: copies, since a step reuses its memory."""
        copy = jax.jit(lambda arrays: jax.tree.map(jnp.copy, arrays))  # also of mere shapes
        return cls(jnp.zeros((), jnp.int32), *copy((parameters, batch_stats)))

    def update(
        self, parameters: nnx.State, batch_stats: nnx.State, decay: float, accumulate: int = 1
    ) -> "Average":
        """Returns the average after one more step: a = d * a + (1 - d) * w at every update.

        d = min(decay, (1 + t) / (10 + t)) after t earlier updates, so that the start is soon
        forgotten. Every `accumulate` steps make an update.
        """
        updates = self.steps // accumulate
        kept = jnp.minimum(decay, (1 + updates) / (10 + updates))
        kept = jnp.where((self.steps + 1) % accumulate == 0, kept, 1.0)
        old, new = (self.parameters, self.batch_stats), (parameters, batch_stats)
        return Average(self.steps + 1, *optax.incremental_update(new, old, 1 - kept))
