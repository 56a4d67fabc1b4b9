"""Predicting with several draws of windows, the global branch computed once for all of them."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, PartitionSpec

from stochconv_jax.data.pipeline.batches import Batch
from stochconv_jax.errors import InputError
from stochconv_jax.models import TwoBranchNetwork
from stochconv_jax.runs.devices import DATA_AXIS

# The parameters and the running statistics of a network.
ModelState = tuple[nnx.State, nnx.State]
Predict = Callable[[ModelState, Batch, jax.Array], jax.Array]


class Predictions(NamedTuple):
    """What a network says of a split, every image once.

    Attributes:
      indices: int32 [N], places in the data set.
      labels: int32 [N], indices of the classes.
      samples: float32 [N, K, outputs], the probabilities of each of K draws of windows.
    """

    indices: np.ndarray
    labels: np.ndarray
    samples: np.ndarray


def probabilities(logits: jax.Array) -> jax.Array:
    """Returns the sigmoid of a single logit, the softmax of several: [..., outputs]."""
    if logits.shape[-1] == 1:
        return jax.nn.sigmoid(logits)
    return jax.nn.softmax(logits)


def sample_probabilities(
    model: TwoBranchNetwork, batch: Batch, key: jax.Array, samples: int
) -> jax.Array:
    """Returns float32 [B, K, outputs], the probabilities of K draws of windows.

    K is `samples`, or 1 for a network without a stochastic branch. The windows depend on (key,
    number of the sample, image's index) alone.
    """
    fixed = {
        number: model.branch_features(number, batch["image_low"], None, None)
        for number, name in enumerate(model.branch_names)
        if name == "global"
    }
    if len(fixed) == len(model.branch_names):
        return probabilities(model.classify(list(fixed.values())))[:, None]

    def one_sample(sample: jax.Array) -> jax.Array:
        image_high = batch["image_high"]
        corners = model.sample_windows(jax.random.fold_in(key, sample), image_high, batch["index"])
        features = [
            fixed[number]
            if number in fixed
            else model.branch_features(number, None, image_high, corners)
            for number in range(len(model.branch_names))
        ]
        return probabilities(model.classify(features))

    return jnp.moveaxis(jax.lax.map(one_sample, jnp.arange(samples)), 0, 1)


def make_predict(model: TwoBranchNetwork, mesh: Mesh, samples: int) -> Predict:
    """Compiles `sample_probabilities` over a mesh: (state, batch, key) -> [B, K, outputs]."""
    graph = nnx.graphdef(model)

    def predict(state: ModelState, batch: Batch, key: jax.Array) -> jax.Array:
        return sample_probabilities(nnx.merge(graph, *state), batch, key, samples)

    copied, divided = PartitionSpec(), PartitionSpec(DATA_AXIS)
    return jax.jit(
        jax.shard_map(
            predict,
            mesh=mesh,
            in_specs=(copied, divided, copied),
            out_specs=divided,
            check_vma=False,
        )
    )


def predict_all(
    predict: Predict, state: ModelState, batches: Iterable[Batch], key: jax.Array
) -> Predictions:
    """Predicts every image of the batches once, without the rows that fill up the last batch.

    Raises:
      InputError: a prediction is not finite.
    """
    rows = []
    for batch in batches:
        kept = batch["mask"]
        out = np.asarray(predict(state, batch, key))
        rows.append((batch["index"][kept], batch["label"][kept], out[kept]))
    predictions = Predictions(*(np.concatenate(column) for column in zip(*rows, strict=True)))
    if not np.isfinite(predictions.samples).all():
        raise InputError(
            "the network's predictions are no numbers, for its training has diverged; lower "
            "train.learning_rate and start with a new --workdir"
        )
    return predictions
