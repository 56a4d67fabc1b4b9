"""One step of training, over all devices at once."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax
from flax import nnx
from jax.sharding import Mesh, PartitionSpec
from jax.typing import ArrayLike

from stochconv_jax.data.pipeline.batches import Batch
from stochconv_jax.models import TwoBranchNetwork
from stochconv_jax.runs.devices import DATA_AXIS


class TrainState(NamedTuple):
    """What a step changes."""

    parameters: nnx.State
    batch_stats: nnx.State
    optimizer: optax.OptState


class StepMetrics(NamedTuple):
    """What a step tells: the batch's mean loss, and its logits, float32 [B, outputs]."""

    loss: Any
    logits: Any


TrainStep = Callable[[TrainState, Batch, jax.Array, ArrayLike], tuple[TrainState, StepMetrics]]


def create_state(model: TwoBranchNetwork, optimizer: optax.GradientTransformation) -> TrainState:
    """Returns the state before the first step."""
    parameters, batch_stats = nnx.state(model, nnx.Param, nnx.BatchStat)
    return TrainState(parameters, batch_stats, jax.jit(optimizer.init)(parameters))


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Returns the loss of each image in nats, [B]: binary for one output, softmax for several."""
    if logits.shape[-1] == 1:
        return optax.sigmoid_binary_cross_entropy(logits[:, 0], labels)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def make_train_step(
    model: TwoBranchNetwork, optimizer: optax.GradientTransformation, mesh: Mesh
) -> TrainStep:
    """Compiles (state, batch, key, validation_loss) -> (state, metrics).

    The old state's memory is reused; the model itself is left as it is. The batch is divided over
    the mesh; gradients and BatchNorm's statistics are averaged over it. Dropout, drop path and
    windows are drawn from (key, image's index), so the step does not depend on the number of
    devices but for rounding. `validation_loss`, float32 [], is the latest one, infinite before the
    first: optimizers that ask for a `value`, as `optax.contrib.reduce_on_plateau` does, are given
    it.
    """
    network = nnx.clone(model)
    network.set_attributes(nnx.BatchNorm, axis_name=DATA_AXIS)
    graph = nnx.graphdef(network)
    update = optax.with_extra_args_support(optimizer).update

    def step(
        state: TrainState, batch: Batch, key: jax.Array, validation_loss: jax.Array
    ) -> tuple[TrainState, StepMetrics]:
        def loss_function(parameters: nnx.State) -> tuple[jax.Array, tuple]:
            # Cast while they are float32, for the cast's transposition sums the gradients over the
            # mesh: left to where they are first used, the sum would be in the computation's dtype.
            parameters = jax.lax.pcast(parameters, DATA_AXIS, to="varying")
            # A copy, which this trace may update.
            network = nnx.merge(graph, parameters, nnx.clone(state.batch_stats))
            logits = network(
                batch["image_low"], batch.get("image_high"), key, batch["index"], train=True
            )
            # The mean over the mesh belongs to the function: its gradient is then whole, and is
            # not averaged again.
            loss = jax.lax.pmean(cross_entropy(logits, batch["label"]).mean(), DATA_AXIS)
            return loss, (nnx.state(network, nnx.BatchStat), logits)

        gradient = jax.value_and_grad(loss_function, has_aux=True)
        (loss, (batch_stats, logits)), gradients = gradient(state.parameters)
        updates, optimizer_state = update(
            gradients, state.optimizer, state.parameters, value=validation_loss
        )
        parameters = optax.apply_updates(state.parameters, updates)
        return TrainState(parameters, batch_stats, optimizer_state), StepMetrics(loss, logits)

    replicated, divided = PartitionSpec(), PartitionSpec(DATA_AXIS)
    return jax.jit(
        jax.shard_map(
            step,
            mesh=mesh,
            in_specs=(replicated, divided, replicated, replicated),
            out_specs=(replicated, StepMetrics(loss=replicated, logits=divided)),
        ),
        donate_argnums=0,
    )
