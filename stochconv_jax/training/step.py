"""One step of training, over all devices at once."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh, PartitionSpec
from jax.typing import ArrayLike

from stochconv_jax.data.pipeline.batches import Batch
from stochconv_jax.models import Context, TwoBranchNetwork
from stochconv_jax.models.conv import BatchNorm
from stochconv_jax.runs.devices import DATA_AXIS, replicated
from stochconv_jax.training.loss import mean_cross_entropy
from stochconv_jax.training.recipe import PLAIN, Recipe
from stochconv_jax.training.state import TrainState


class StepMetrics(NamedTuple):
    """What a step tells, on every device.

    Attributes:
      loss: float32 [], the batch's mean.
      finite: bool [], whether loss, gradients, parameters and statistics are all finite.
      logits: float32 [B, outputs].
      labels: int32 [B], of the same rows.
      indices: int32 [B], the images' places in the data set.
    """

    loss: Any
    finite: Any
    logits: Any
    labels: Any
    indices: Any


TrainStep = Callable[[TrainState, Batch, jax.Array, ArrayLike], tuple[TrainState, StepMetrics]]


@functools.lru_cache(maxsize=8)
def make_train_step(
    model: TwoBranchNetwork,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    recipe: Recipe = PLAIN,
) -> TrainStep:
    """Compiles (state, batch, key, validation_loss) -> (state, metrics), once for like arguments.

    Parts of the network that do not learn are left out of the backward pass where nothing before
    them learns.

    The old state's memory is reused; the model itself is left as it is. The batch is divided over
    the mesh; gradients and BatchNorm's statistics are averaged over it. Dropout, drop path and
    windows are drawn from (key, image's index), so the step does not depend on the number of
    devices but for rounding. `validation_loss`, float32 [], is the latest one, huge before the
    first: optimizers that ask for a `value`, as `optax.contrib.reduce_on_plateau` does, are given
    it.
    """
    network = nnx.clone(model)
    network.set_attributes(
        BatchNorm,
        raise_if_not_found=False,
        axis_name=DATA_AXIS,
        frozen=recipe.freeze_batch_norm,
    )
    graph = nnx.graphdef(network)
    update = optax.with_extra_args_support(optimizer).update

    def step(
        state: TrainState, batch: Batch, key: jax.Array, validation_loss: jax.Array
    ) -> tuple[TrainState, StepMetrics]:
        learning, frozen = recipe.rates.split(state.parameters)

        def loss_function(learning: nnx.State) -> tuple[jax.Array, tuple]:
            # Cast while they are float32, for the cast's transposition sums the gradients over the
            # mesh: left to where they are first used, the sum would be in the computation's dtype.
            parameters = jax.lax.pcast((learning, frozen), DATA_AXIS, to="varying")
            # A copy, which this trace may update.
            network = nnx.merge(graph, *parameters, nnx.clone(state.batch_stats))
            context = Context.of_pass(key, batch["index"], train=True)
            logits = network.forward(batch, context).logits
            # The mean over the mesh belongs to the function: its gradient is then whole, and is
            # not averaged again.
            loss = mean_cross_entropy(
                logits, batch["label"], recipe.label_smoothing, recipe.class_weights, DATA_AXIS
            )
            return loss, (nnx.state(network, nnx.BatchStat), logits)

        gradient = jax.value_and_grad(loss_function, has_aux=True)
        (loss, (batch_stats, logits)), gradients = gradient(learning)
        updates, optimizer_state = update(
            gradients, state.optimizer, learning, value=validation_loss
        )
        parameters = nnx.merge_state(optax.apply_updates(learning, updates), frozen)
        average = state.average
        if average is not None:
            average = average.update(
                parameters, batch_stats, recipe.average_decay, recipe.accumulate
            )
        finite = jnp.isfinite(loss)
        for tree in (gradients, parameters, batch_stats):
            finite &= jnp.isfinite(optax.tree.norm(tree))
        new = TrainState(parameters, batch_stats, optimizer_state, average)
        return new, StepMetrics(loss, finite, logits, batch["label"], batch["index"])

    copied, divided = PartitionSpec(), PartitionSpec(DATA_AXIS)
    return jax.jit(
        jax.shard_map(
            step,
            mesh=mesh,
            in_specs=(copied, divided, copied, copied),
            out_specs=(copied, StepMetrics(copied, copied, divided, divided, divided)),
        ),
        donate_argnums=0,
        out_shardings=replicated(mesh),
    )
