"""Which axes of a mesh an array varies over, inside `shard_map` with `check_vma=True`."""

import jax
from jax import lax


def vary_alike(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Returns the arrays, each varying over every mesh axis that any of them varies over.

    A custom gradient must return cotangents that vary as its operands do, which this makes true of
    all alike. The gradient of a replicated array is then summed over the mesh by the transposition
    of the cast. Outside `shard_map`, and with `check_vma=False`, nothing is done.
    """
    varying = [jax.typeof(array).manual_axis_type.varying for array in arrays]
    every = frozenset().union(*varying)
    return tuple(
        lax.pcast(array, tuple(sorted(every - axes)), to="varying")
        for array, axes in zip(arrays, varying, strict=True)
    )
