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
        copies = jax.tree.map(jnp.copy, (parameters, batch_stats))
        return cls(jnp.zeros((), jnp.int32), *copies)

    def update(self, parameters: nnx.State, batch_stats: nnx.State, decay: float) -> "Average":
        """Returns the average with one more step: a = d * a + (1 - d) * w.

        d = min(decay, (1 + t) / (10 + t)) after t steps, so that the start is soon forgotten.
        """
        kept = jnp.minimum(decay, (1 + self.steps) / (10 + self.steps))
        old, new = (self.parameters, self.batch_stats), (parameters, batch_stats)
        return Average(self.steps + 1, *optax.incremental_update(new, old, 1 - kept))
