"""The devices that a run computes on."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

# The axis of the mesh over which batches are divided.
DATA_AXIS = "data"


def make_mesh(count: int = 0) -> Mesh:
    """Returns the first `count` local devices along one axis, all of them where 0."""
    devices = jax.local_devices()[: count or None]
    return jax.make_mesh(
        (len(devices),), (DATA_AXIS,), (jax.sharding.AxisType.Auto,), devices=devices
    )


def replicated(mesh: Mesh) -> NamedSharding:
    """Returns the layout that holds a copy on every device of the mesh."""
    return NamedSharding(mesh, PartitionSpec())


def make_agreement(mesh: Mesh) -> Callable[[int], Any]:
    """Returns a function from each process's number to the largest of them, int32 [].

    Every process calls it as often as the others; nobody waits before the result is read.
    """
    if jax.process_count() == 1:
        return lambda number: number
    divided = NamedSharding(mesh, PartitionSpec(DATA_AXIS))
    largest = jax.jit(jnp.max, out_shardings=replicated(mesh))
    own = len(mesh.local_devices)

    def agree(number: int) -> jax.Array:
        numbers = np.full(own, number, np.int32)
        return largest(jax.make_array_from_process_local_data(divided, numbers))

    return agree
