"""Training and testing a method, the same way for all."""

import dataclasses
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from tqdm import tqdm

from benchmarks.peers.methods import Method
from benchmarks.peers.scenes import Scenes
from benchmarks.peers.setting import Setting
from stochconv_jax.data.pipeline.batches import Batch
from stochconv_jax.keys import Purpose, generator, run_key

TEST_BATCH = 50


class Outcome(NamedTuple):
    """What became of a method.

    Attributes:
      right: bool [test images], whether it names the class.
      losses: the mean of each epoch, in nats.
      seconds: that one core would have been busy with training, compilation included.
      parameters: their number.
      megaflops: of classifying one image, by XLA's count.
      megabytes: that a step of training holds at once, by XLA's plan.
    """

    right: np.ndarray
    losses: list[float]
    seconds: float
    parameters: int
    megaflops: float
    megabytes: float


def run(method: Method, setting: Setting, train: Scenes, test: Scenes, seed: int) -> Outcome:
    """Trains on `train` from a seed, and classifies `test` once, after the last step."""
    start = time.process_time()
    setting = dataclasses.replace(setting, epochs=method.times * setting.epochs)
    # Eagerly, every initial parameter would be a program of its own; "rbg" compiles sooner.
    model = nnx.jit(lambda: method.make(setting, nnx.Rngs(jax.random.key(seed, impl="rbg"))))()
    graph, parameters, statistics = nnx.split(model, nnx.Param, nnx.BatchStat)
    optimizer = method.optimizer(setting.steps)
    state = (parameters, statistics, optimizer.init(parameters))
    low, key = method.low(setting), run_key(seed, Purpose.TRAINING)
    step = make_step(method, graph, optimizer)
    compiled = step.lower(state, train.batch(np.arange(setting.batch), low), key, 0).compile()
    losses: list[jax.Array] = []
    progress = tqdm(_order(setting, seed), total=setting.steps, desc="training", leave=False)
    for number, indices in enumerate(progress):
        state, loss = compiled(state, train.batch(indices, low), key, number)
        losses.append(loss)
        if number % 50 == 49:
            progress.set_postfix(loss=f"{float(np.mean(jax.device_get(losses[-50:]))):.2f}")
    epochs = np.reshape(jax.device_get(losses), (setting.epochs, -1)).mean(axis=1)
    seconds = time.process_time() - start
    memory: Any = compiled.memory_analysis()
    predict = _make_predict(graph)
    one = predict.lower(*state[:2], test.batch(np.arange(1), low), key)
    return Outcome(
        _right(predict, state, test, low, run_key(seed, Purpose.EVALUATION)),
        epochs.tolist(),
        seconds,
        sum(leaf.size for leaf in jax.tree.leaves(parameters)),
        one.cost_analysis()["flops"] / 1e6,
        (memory.temp_size_in_bytes + memory.argument_size_in_bytes) / 1e6,
    )


def _order(setting: Setting, seed: int) -> Any:
    """Yields the images of each step, every image once an epoch."""
    steps = setting.train // setting.batch
    for epoch in range(setting.epochs):
        order = generator(seed, Purpose.ORDER, epoch).permutation(setting.train)
        yield from order[: steps * setting.batch].reshape(steps, setting.batch)


def make_step(method: Method, graph: Any, optimizer: optax.GradientTransformation) -> Any:
    """Compiles ((parameters, statistics, optimizer's state), batch, key, number) -> (state, loss).

    The loss is the cross-entropy in nats, without the method's penalty.
    """

    @jax.jit
    def step(state: Any, batch: Batch, key: jax.Array, number: int) -> tuple[Any, jax.Array]:
        parameters, statistics, optimizer_state = state

        def loss_function(parameters: Any) -> tuple[jax.Array, Any]:
            model = nnx.merge(graph, parameters, nnx.clone(statistics))
            logits = _logits(model, batch, jax.random.fold_in(key, number), True)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
            loss = losses.mean()
            return loss + method.penalty(model, batch), (loss, nnx.state(model, nnx.BatchStat))

        gradient = jax.grad(loss_function, has_aux=True)
        gradients, (loss, statistics) = gradient(parameters)
        updates, optimizer_state = optimizer.update(gradients, optimizer_state, parameters)
        return (optax.apply_updates(parameters, updates), statistics, optimizer_state), loss

    return step


def _make_predict(graph: Any) -> Any:
    @jax.jit
    def predict(parameters: Any, statistics: Any, batch: Batch, key: jax.Array) -> jax.Array:
        return _logits(nnx.merge(graph, parameters, statistics), batch, key, False)

    return predict


def _logits(model: Any, batch: Batch, key: jax.Array, train: bool) -> jax.Array:
    return model(batch["image_low"], batch["image_high"], key, batch["index"], train)


def _right(predict: Any, state: Any, test: Scenes, low: int, key: jax.Array) -> np.ndarray:
    named = []
    for part in np.array_split(np.arange(len(test.labels)), -(-len(test.labels) // TEST_BATCH)):
        named.append(jnp.argmax(predict(*state[:2], test.batch(part, low), key), axis=1))
    return np.concatenate(named) == test.labels
