"""Predicting with several draws of windows, the global branch computed once for all of them."""

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, PartitionSpec

from stochconv_jax.data.pipeline.batches import Batch
from stochconv_jax.errors import InputError
from stochconv_jax.inference.probabilities import class_probabilities
from stochconv_jax.models import Context, TwoBranchNetwork
from stochconv_jax.runs.devices import DATA_AXIS, divide, gather, replicated

# The parameters and the running statistics of a network.
ModelState = tuple[nnx.State, nnx.State]
Predict = Callable[[ModelState, Batch, jax.Array], jax.Array]


class Predictions(NamedTuple):
    """What a network says of a split, every image once.

    Attributes:
      indices: int32 [N], places in the data set.
      labels: int32 [N], indices of the classes.
      logits: float32 [N, K, outputs], of each of K draws of windows.
    """

    indices: np.ndarray
    labels: np.ndarray
    logits: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """float64 [N, K, classes]."""
        return class_probabilities(self.logits)


def draw_logits(model: TwoBranchNetwork, batch: Batch, key: jax.Array, draws: int) -> jax.Array:
    """Returns float32 logits [B, K, outputs] of K draws of windows.

    K is `draws`, or 1 for a network without a stochastic branch. The windows depend on (key, number
    of the draw, image's index) alone.
    """

    def context(draw: Any) -> Context:
        return Context.of_pass(key, batch["index"], draw=draw)

    fixed = model.fixed_outputs(batch, context(0))
    if not model.draws:
        return model.forward(batch, context(0), fixed).logits[:, None]
    logits = jax.lax.map(
        lambda draw: model.forward(batch, context(draw), fixed).logits, jnp.arange(draws)
    )
    return jnp.moveaxis(logits, 0, 1)


@functools.lru_cache(maxsize=8)
def make_predict(model: TwoBranchNetwork, mesh: Mesh, draws: int) -> Predict:
    """Compiles (state, batch, key) -> `draw_logits` over a mesh, once for like arguments.

    Every device holds the logits of the whole batch.
    """
    graph = nnx.graphdef(model)

    def predict(state: ModelState, batch: Batch, key: jax.Array) -> jax.Array:
        return draw_logits(nnx.merge(graph, *state), batch, key, draws)

    copied, divided = PartitionSpec(), PartitionSpec(DATA_AXIS)
    return jax.jit(
        jax.shard_map(
            predict,
            mesh=mesh,
            in_specs=(copied, divided, copied),
            out_specs=divided,
        ),
        out_shardings=replicated(mesh),
    )


def rows_per_batch(batch_size: int, mesh: Mesh) -> int:
    """Returns the batch size rounded up to a multiple of the devices."""
    return -(-batch_size // mesh.size) * mesh.size


def predict_all(
    predict: Predict, state: ModelState, batches: Iterable[Batch], key: jax.Array, mesh: Mesh
) -> Predictions:
    """Predicts every image of the batches once, without the rows that fill up the last batch.

    Of several processes, each brings its share of every batch and is told of all.

    Raises:
      InputError: a prediction is not finite.
    """
    rows = []
    for batch in batches:
        logits = finite_logits(predict(state, divide(batch, mesh), key))
        whole = gather({name: batch[name] for name in ("index", "label", "mask")})
        kept = whole["mask"]
        rows.append((whole["index"][kept], whole["label"][kept], logits[kept]))
    return Predictions(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def finite_logits(logits: jax.Array) -> np.ndarray:
    """Brings logits to the host.

    Raises:
      InputError: one is not finite.
    """
    found = np.asarray(logits)
    if not np.isfinite(found).all():
        raise InputError(
            "the network's predictions are NaN or infinite, because its training has diverged; "
            "lower train.learning_rate and start with a new --workdir"
        )
    return found
