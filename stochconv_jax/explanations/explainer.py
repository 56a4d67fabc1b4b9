"""A trained network that says why."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stochconv_jax.data.pipeline.batches import Batch
from stochconv_jax.errors import InputError
from stochconv_jax.explanations.maps import METHODS
from stochconv_jax.inference.photographs import FramedPhotograph, photograph_batches
from stochconv_jax.inference.predict import ModelState
from stochconv_jax.inference.trained_network import TrainedNetwork
from stochconv_jax.keys import Purpose
from stochconv_jax.models import TwoBranchNetwork
from stochconv_jax.runs.run import Run

# Images in memory at a time, each with what a backward pass keeps of it.
ROWS = 4
WINDOW_MAP = "window_map"

Maps = Mapping[str, Mapping[str, np.ndarray]]
MapMaker = Callable[[ModelState, Batch, jax.Array, jax.Array], Mapping[str, jax.Array]]


@dataclasses.dataclass(frozen=True)
class Explainer:
    """Explains what a network says of photographs, by the draws of windows that it predicts with.

    Attributes:
      network: restored from a run.
      methods: names of METHODS.
      rows: images in memory at a time, which changes no map.
    """

    network: TrainedNetwork
    methods: tuple[str, ...]
    rows: int = ROWS

    @classmethod
    def of_run(cls, network: TrainedNetwork, methods: Sequence[str] = ()) -> "Explainer":
        """Returns the explainer by `methods`, or by all that the network can be asked for.

        Raises:
          InputError: a method is unknown, or asks for a branch that the network has not.
        """
        return cls(network, chosen_methods(network.run, methods))

    def explain(
        self, photographs: Sequence[FramedPhotograph], targets: Sequence[int]
    ) -> Iterator[Maps]:
        """Yields for each photograph the maps of each method: "map" and, of windows, "coverage".

        Args:
          photographs: framed as the run's are.
          targets: for each the index of the class that is explained.
        """
        run = self.network.run
        key = run.key(Purpose.EVALUATION)
        batches = photograph_batches(photographs, run, self.rows)
        for first, (own, batch) in zip(range(0, len(photographs), self.rows), batches, strict=True):
            chosen = jnp.array(np.resize(targets[first : first + self.rows], self.rows))
            found = {
                name: make(self.network.state, batch, key, chosen)
                for name, make in self._compiled.items()
            }
            for row in range(len(own)):
                yield {
                    name: {kind: np.asarray(each[row]) for kind, each in maps.items()}
                    for name, maps in found.items()
                }

    @functools.cached_property
    def _compiled(self) -> Mapping[str, MapMaker]:
        """What makes the maps of each method, held as long as this is, whoever else explains."""
        run = self.network.run
        model = run.abstract_model(run.config.eval.placement)
        return {name: make_maps(model, name, run.config.eval.samples) for name in self.methods}


def possible_methods(run: Run) -> tuple[str, ...]:
    """Returns the methods that a run's network can be asked for."""
    branches = run.config.model.branches
    asked = {method: "stochastic" if method == WINDOW_MAP else "global" for method in METHODS}
    return tuple(
        method
        for method, branch in asked.items()
        if branch in branches or (method == "occlusion" and run.sees_pixels)
    )


def chosen_methods(run: Run, methods: Sequence[str] = ()) -> tuple[str, ...]:
    """Returns `methods`, or all that a run's network can be asked for where there are none.

    Raises:
      InputError: a method is unknown, or asks for a branch that the network has not.
    """
    possible = possible_methods(run)
    if not possible:
        raise InputError(f"the network of {run.directory} reads no pixels to explain by")
    for method in methods:
        if method not in METHODS:
            raise InputError(f"there is no method {method!r}; use one of {', '.join(METHODS)}")
        if method not in possible:
            branch = "stochastic" if method == WINDOW_MAP else "global"
            raise InputError(
                f"the network of {run.directory} has no {branch} branch, so that "
                f"{method} cannot be had; use {' or '.join(possible)}"
            )
    return tuple(methods) or possible


@functools.lru_cache(maxsize=8)
def make_maps(model: TwoBranchNetwork, method: str, draws: int) -> MapMaker:
    """Compiles (state, batch, key, targets) -> maps of one method, once for like arguments."""
    graph = nnx.graphdef(model)

    def maps(
        state: ModelState, batch: Batch, key: jax.Array, targets: jax.Array
    ) -> Mapping[str, jax.Array]:
        return METHODS[method](nnx.merge(graph, *state), batch, key, targets, draws)

    return jax.jit(maps)
