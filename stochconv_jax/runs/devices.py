"""The devices that a run computes on."""

from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from stochconv_jax.hosts.exchange import process_count, process_number

# The axis of the mesh over which batches are divided.
DATA_AXIS = "data"


def make_mesh(count: int = 0) -> Mesh:
    """Returns the first `count` devices of all processes along one axis, all of them where 0.

    Those of one process stand side by side.
    """
    devices = sorted(jax.devices(), key=lambda device: device.process_index)[: count or None]
    return Mesh(np.array(devices), (DATA_AXIS,))


def replicated(mesh: Mesh) -> NamedSharding:
    """Returns the layout that holds a copy on every device of the mesh."""
    return NamedSharding(mesh, PartitionSpec())


def process_share() -> tuple[int, int]:
    """Returns (number, count) of the processes that divide each batch among them."""
    return process_number(), process_count()


def divide(batch: dict[str, Any], mesh: Mesh) -> dict[str, Any]:
    """Returns the batch of all processes, divided over the mesh, of this process's share of it.

    The shares follow one another in the order of the processes. Of one process, it is the batch
    itself.
    """
    if process_count() == 1:
        return batch
    layout = NamedSharding(mesh, PartitionSpec(DATA_AXIS))
    return {
        name: jax.make_array_from_process_local_data(layout, column)
        for name, column in batch.items()
    }


def copy(tree: Any, mesh: Mesh) -> Any:
    """Returns arrays that every device of the mesh holds a copy of: process 0's.

    What processors of other kinds computed from one seed may differ in its last bit, and would stay
    different.
    """
    if process_count() > 1:
        tree = multihost_utils.broadcast_one_to_all(tree)
    return jax.device_put(tree, replicated(mesh))
