"""What several draws of windows become before the classifier."""

import jax
import jax.numpy as jnp
from flax import nnx

POOLINGS = ("mean", "attention")
HIDDEN_FEATURES = 128


class AttentionPooling(nnx.Module):
    """Weighs the draws of an image by what they show.

    z = sum over d of a_d h_d with a = softmax over d of w^T tanh(V h_d), in float32. It begins as
    the mean, since w begins as 0.

    Source: Ilse et al. 2018, "Attention-based Deep Multiple Instance Learning", equations 7 and 8.
    """

    def __init__(self, features: int, rngs: nnx.Rngs):
        self.hidden = nnx.Linear(features, HIDDEN_FEATURES, use_bias=False, rngs=rngs)
        zeros = nnx.initializers.zeros_init()
        self.score = nnx.Linear(HIDDEN_FEATURES, 1, use_bias=False, kernel_init=zeros, rngs=rngs)

    def __call__(self, features: jax.Array) -> jax.Array:
        """Returns [B, F] from the features of draws, [B, D, F]."""
        exact = features.astype(jnp.float32)
        weights = jax.nn.softmax(self.score(jnp.tanh(self.hidden(exact))), axis=1)
        return (weights * exact).sum(axis=1).astype(features.dtype)
