"""What a parameter is called wherever it stands."""

from typing import Any

import jax
from flax import nnx


def canonical_name(path: tuple[Any, ...]) -> str:
    """Returns the family's own name of a variable of a network, such as "stage3.1.expand.kernel".

    It leaves out in which branch, or behind which join, a layer stands, so that the layers of any
    network of a family carry the names of its plain network: conv.kernel, activation.*, stageN.I.*,
    head.*, classifier.*.

    Args:
      path: of the variable in the network's state.
    """
    words = place_name(path).split(".")
    if words[0] == "branches":
        words = words[2:]
    if words[0] in ("stages", "trunk"):
        words = words[1:]
    return ".".join(words)


def place_name(path: tuple[Any, ...]) -> str:
    """Returns the name of a variable's place in a network, as "branches.global.conv.kernel"."""
    return ".".join(str(word) for word in path)


def parameters_by_name(model: nnx.Module) -> dict[str, list[jax.Array]]:
    """Returns the arrays of each canonical name: one, or one for each branch that has it."""
    found: dict[str, list[jax.Array]] = {}
    for part in nnx.state(model, nnx.Param, nnx.BatchStat):
        for path, variable in nnx.to_flat_state(part):
            found.setdefault(canonical_name(path), []).append(variable[...])
    return found
