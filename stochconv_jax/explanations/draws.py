"""The mean over draws of windows, of which one is in memory at a time."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp

Maps = TypeVar("Maps")


def mean_over_draws(of_draw: Callable[[jax.Array], Maps], draws: int) -> Maps:
    """Returns the mean of of_draw(0), ..., of_draw(draws - 1), a tree of float arrays each."""

    def add(total: Maps, draw: jax.Array) -> tuple[Maps, None]:
        return jax.tree.map(jnp.add, total, of_draw(draw)), None

    shapes = jax.eval_shape(of_draw, jax.ShapeDtypeStruct((), jnp.int32))
    nothing = jax.tree.map(lambda each: jnp.zeros(each.shape, each.dtype), shapes)
    total, _ = jax.lax.scan(add, nothing, jnp.arange(draws))
    return jax.tree.map(lambda each: each / draws, total)
