"""What follows a normalisation, elementwise, and its derivative."""

from typing import Literal, get_args

import jax
import jax.numpy as jnp

# csrc/batch_norm.cc numbers them in this order.
Activation = Literal["none", "relu", "relu6", "silu"]


def check_activation(activation: Activation) -> None:
    """Raises ValueError for a name that is none of an activation."""
    if activation not in get_args(Activation):
        known = ", ".join(get_args(Activation))
        raise ValueError(f"activation is {activation!r}; use one of {known}")


def activate(z: jax.Array, activation: Activation) -> jax.Array:
    """Applies an activation elementwise; "silu", or swish, is z * sigmoid(z)."""
    match activation:
        case "none":
            return z
        case "relu":
            return jax.nn.relu(z)
        case "relu6":
            return jax.nn.relu6(z)
        case "silu":
            return jax.nn.silu(z)


def derivative(z: jax.Array, activation: Activation) -> jax.Array:
    """Returns the activation's derivative at every z, which is 0 at kinks."""
    match activation:
        case "none":
            return jnp.ones_like(z)
        case "relu":
            return (z > 0).astype(z.dtype)
        case "relu6":
            return ((z > 0) & (z < 6)).astype(z.dtype)
        case "silu":
            gate = jax.nn.sigmoid(z)
            return gate + z * gate * (1 - gate)
