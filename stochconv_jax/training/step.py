"""One step of training, over all devices at once."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax
from flax import nnx
from jax.sharding import Mesh, PartitionSpec

from stochconv_jax.data.pipeline.batches import Batch
from stochconv_jax.inference.predict import probabilities
from stochconv_jax.models import TwoBranchNetwork
from stochconv_jax.runs.devices import DATA_AXIS


class TrainState(NamedTuple):
    """What a step changes."""

    parameters: nnx.State
    batch_stats: nnx.State
    optimizer: optax.OptState


class StepMetrics(NamedTuple):
    """What a step tells: the batch's mean loss, and the probabilities [B, outputs] it met."""

    loss: Any
    probabilities: Any


TrainStep = Callable[[TrainState, Batch, jax.Array], tuple[TrainState, StepMetrics]]


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
    """Compiles (state, batch, key) -> (state, metrics); the old state's memory is reused.

    The batch is divided over the mesh; gradients and BatchNorm's statistics are averaged over it.
    Dropout, drop path and windows are drawn from (key, image's index), so the step does not
    depend on the number of devices but for rounding.
    """
    model.set_attributes(nnx.BatchNorm, axis_name=DATA_AXIS)
    graph = nnx.graphdef(model)

    def step(state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, StepMetrics]:
        def loss_function(parameters: nnx.State) -> tuple[jax.Array, tuple]:
            # A copy, which this trace may update.
            network = nnx.merge(graph, parameters, nnx.clone(state.batch_stats))
            logits = network(
                batch["image_low"], batch.get("image_high"), key, batch["index"], train=True
            )
            loss = cross_entropy(logits, batch["label"]).mean()
            return loss, (nnx.state(network, nnx.BatchStat), probabilities(logits))

        gradient = jax.value_and_grad(loss_function, has_aux=True)
        (loss, (batch_stats, seen)), gradients = gradient(state.parameters)
        # Of the gradients, not of the loss: with check_vma=False the mean of the loss would leave
        # each device its own gradient.
        gradients, loss = jax.lax.pmean((gradients, loss), DATA_AXIS)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.parameters)
        parameters = optax.apply_updates(state.parameters, updates)
        return TrainState(parameters, batch_stats, optimizer_state), StepMetrics(loss, seen)

    replicated, divided = PartitionSpec(), PartitionSpec(DATA_AXIS)
    return jax.jit(
        jax.shard_map(
            step,
            mesh=mesh,
            in_specs=(replicated, divided, replicated),
            out_specs=(replicated, StepMetrics(loss=replicated, probabilities=divided)),
            check_vma=False,
        ),
        donate_argnums=0,
    )
