"""The devices that a run computes on."""

import jax
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
