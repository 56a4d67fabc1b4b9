"""The devices that a run computes on: of this process, or of all processes that joined."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

# The axis of the mesh over which batches are divided.
DATA_AXIS = "data"


def make_mesh(count: int = 0) -> Mesh:
    """Returns the first `count` devices of all processes along one axis, all of them where 0.

    Those of a process stand side by side, in the order of the processes.
    """
    devices = sorted(jax.devices(), key=lambda device: device.process_index)[: count or None]
    return Mesh(np.array(devices), (DATA_AXIS,))


def replicated(mesh: Mesh) -> NamedSharding:
    """Returns the layout that holds a copy on every device of the mesh."""
    return NamedSharding(mesh, PartitionSpec())


def divide(batch: dict[str, Any], mesh: Mesh) -> dict[str, Any]:
    """Returns a batch that is divided over the mesh, of the share of it that each process gives.

    Shares follow one another in the order of the processes. A process that is alone gives all.
    """
    if jax.process_count() == 1:
        return batch
    divided = NamedSharding(mesh, PartitionSpec(DATA_AXIS))
    return {
        name: jax.make_array_from_process_local_data(divided, column)
        for name, column in batch.items()
    }


def gather(columns: dict[str, Any]) -> dict[str, Any]:
    """Returns on every process the columns of all processes' shares, in the order of `divide`."""
    if jax.process_count() == 1:
        return columns
    return multihost_utils.process_allgather(columns, tiled=True)


def copy(tree: Any, mesh: Mesh) -> Any:
    """Returns process 0's arrays on every device of the mesh.

    What different processors compute of one seed may differ in a last bit, and would do so ever
    after.
    """
    if jax.process_count() > 1:
        tree = multihost_utils.broadcast_one_to_all(tree)
    return jax.device_put(tree, replicated(mesh))


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
