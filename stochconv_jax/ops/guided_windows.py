"""Windows that lie more often where a map says that there is more to see."""

import jax
import jax.numpy as jnp


def guide(points: jax.Array, density: jax.Array) -> jax.Array:
    """Moves points so that points uniform over the unit square become distributed as `density`.

    The inverse of the density's distribution function, along rows first and within the row then
    (Rosenblatt 1952). It keeps neighbours together, so that even points stay even in proportion to
    the density; a constant density moves nothing.

    Args:
      points: float32 [n, 2], (vertical, horizontal) in [0, 1).
      density: float32 [rows, columns], 0 or more, constant within each of its cells; not all 0.

    Returns:
      float32 [n, 2] in [0, 1).
    """
    rows = density.sum(axis=1)
    vertical = _quantile(points[:, 0], rows)
    row = jnp.minimum((vertical * len(rows)).astype(jnp.int32), len(rows) - 1)
    horizontal = jax.vmap(_quantile)(points[:, 1, None], density[row])[:, 0]
    return jnp.stack([vertical, horizontal], axis=-1)


def _quantile(shares: jax.Array, weights: jax.Array) -> jax.Array:
    """Returns in [0, 1) where a piecewise constant density has such shares of its mass below."""
    cumulated = jnp.cumsum(weights)
    wanted = shares * cumulated[-1]
    cell = jnp.minimum(jnp.searchsorted(cumulated, wanted, side="right"), len(weights) - 1)
    within = (wanted - (cumulated[cell] - weights[cell])) / weights[cell]
    # Rounding may leave the cell by a hair, which would be another row, or outside the image.
    within = jnp.clip(within, 0, 1 - 2**-20)
    return (cell + within) / len(weights)
