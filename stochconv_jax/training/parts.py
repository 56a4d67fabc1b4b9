"""The parts of a network that may learn at rates of their own, or not at all."""

from typing import Any, NamedTuple

import jax
from flax import nnx
from ml_collections import ConfigDict

PARTS = ("backbone", "branch", "head")


def part_of(path: tuple[Any, ...]) -> str:
    """Returns the part that a parameter belongs to, by its path in the network's state.

    "head" is the classifier, "branch" what stands in a stochastic or a metadata branch,
    "backbone" all else.
    """
    if path[0] == "classifier":
        return "head"
    if path[0] == "branches" and str(path[1]).startswith(("stochastic", "metadata")):
        return "branch"
    return "backbone"


class PartRates(NamedTuple):
    """Factors on the learning rate; 0 freezes a part, which then costs no backward pass."""

    backbone: float = 1.0
    branch: float = 1.0
    head: float = 1.0

    @classmethod
    def from_config(cls, config: ConfigDict) -> "PartRates":
        """Reads the `train` section."""
        return cls(config.backbone_rate, config.branch_rate, config.head_rate)

    def split(self, parameters: nnx.State) -> tuple[nnx.State, nnx.State]:
        """Returns the parameters that learn and those that do not."""
        learning, frozen = nnx.split_state(
            parameters, lambda path, _: getattr(self, part_of(path)) > 0, ...
        )
        return learning, frozen

    def scale(self, updates: nnx.State) -> nnx.State:
        """Multiplies the updates of the parameters that learn."""
        if len(set(self) - {0.0}) == 1 and max(self) == 1.0:
            return updates
        scaled = [
            (path, variable.replace(variable[...] * getattr(self, part_of(path))))
            for path, variable in nnx.to_flat_state(updates)
        ]
        return nnx.from_flat_state(scaled)


def decays(parameters: nnx.State) -> Any:
    """Marks what weight decay acts on: kernels, but neither biases nor normalisation."""
    return jax.tree.map(lambda array: array.ndim > 1, parameters)
