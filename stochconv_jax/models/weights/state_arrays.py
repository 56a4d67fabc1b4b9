"""A network's state as named arrays, and back."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np
from flax import nnx

from stochconv_jax.errors import InputError
from stochconv_jax.models.parameter_names import canonical_name, place_name


def state_arrays(state: Sequence[nnx.State], joined: bool) -> dict[str, np.ndarray]:
    """Returns the arrays of a network's parameters and statistics by name.

    Args:
      state: parameters and running statistics.
      joined: whether the network has several branches: names are then of places in it, as
        "branches.global.conv.kernel"; else canonical ones, as "conv.kernel".
    """
    name = place_name if joined else canonical_name
    return {
        name(path): np.asarray(variable[...])
        for part in state
        for path, variable in nnx.to_flat_state(part)
    }


def state_of_arrays(
    shapes: Sequence[nnx.State], arrays: Mapping[str, np.ndarray], joined: bool
) -> tuple[nnx.State, ...]:
    """Returns the state whose `state_arrays` these are.

    Args:
      shapes: of the network's state.
      arrays: by name; none may be missing, left over or of another shape.
      joined: as of `state_arrays`.

    Raises:
      InputError: one is.
    """
    name = place_name if joined else canonical_name
    left = dict(arrays)

    def take(path: tuple, shape: nnx.Variable) -> nnx.Variable:
        array = left.pop(name(path), None)
        if array is None or array.shape != tuple(shape.shape):
            found = "missing" if array is None else f"of the shape {array.shape}"
            raise InputError(f"{name(path)} is {found}, and the network's is {shape.shape}")
        return shape.replace(jax.numpy.asarray(array, shape.dtype))

    parts = tuple(
        nnx.from_flat_state([(path, take(path, each)) for path, each in nnx.to_flat_state(part)])
        for part in shapes
    )
    if left:
        raise InputError(f"{next(iter(left))} is an array that the network has no place for")
    return parts
