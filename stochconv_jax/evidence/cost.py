"""What a network costs: parameters, operations and memory."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from ml_collections import ConfigDict

from stochconv_jax.evaluation.predict import make_mesh, make_predict
from stochconv_jax.models.from_config import model_from_config
from stochconv_jax.training.optimizer import make_optimizer
from stochconv_jax.training.step import create_state, make_train_step


def network_cost(config: ConfigDict, num_outputs: int) -> dict[str, Any]:
    """Returns what the network of a config costs, by XLA's count and plan.

    `parameters`; `gigaflops`, of predicting one image with one draw of windows; `step_megabytes`,
    that a training step holds at once, its batch and the optimizer's state included.
    """
    model = model_from_config(config, num_outputs, abstract=True)
    key = jax.eval_shape(lambda: jax.random.key(0))
    optimizer = make_optimizer(config.train, 1)
    state = jax.eval_shape(lambda: create_state(model, optimizer))
    mesh = make_mesh()
    one = jax.make_mesh(
        (1,), mesh.axis_names, (jax.sharding.AxisType.Auto,), devices=jax.local_devices()[:1]
    )
    predicted = jax.jit(make_predict(model, one, 1)).lower(tuple(state[:2]), _batch(config, 1), key)
    step = jax.jit(make_train_step(model, optimizer, mesh))
    plan = step.lower(state, _batch(config, config.train.batch_size), key).compile()
    operations: Any = predicted.cost_analysis()
    memory: Any = plan.memory_analysis()
    return {
        "parameters": sum(
            int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))
        ),
        "gigaflops": operations["flops"] / 1e9,
        "step_megabytes": (memory.temp_size_in_bytes + memory.argument_size_in_bytes) / 1e6,
    }


def _batch(config: ConfigDict, images: int) -> dict[str, jax.ShapeDtypeStruct]:
    height, width = config.data.high_size
    batch = {
        "image_low": jax.ShapeDtypeStruct((images, *config.data.low_size, 3), jnp.uint8),
        "label": jax.ShapeDtypeStruct((images,), jnp.int32),
        "index": jax.ShapeDtypeStruct((images,), jnp.int32),
        "mask": jax.ShapeDtypeStruct((images,), jnp.bool),
    }
    if "stochastic" in config.model.branches:
        planes = (images, 2, 2, 3, height // 2, width // 2)
        batch["image_high"] = jax.ShapeDtypeStruct(planes, jnp.uint8)
    return batch
