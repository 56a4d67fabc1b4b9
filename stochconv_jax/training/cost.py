"""What a network costs: parameters, operations and memory."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from ml_collections import ConfigDict

from stochconv_jax.config_limits import large_size
from stochconv_jax.inference.predict import ModelState, make_predict
from stochconv_jax.models import Context, TwoBranchNetwork
from stochconv_jax.models.branch import METADATA
from stochconv_jax.models.from_config import backbone_from_config
from stochconv_jax.ops import planes_shape
from stochconv_jax.runs.devices import make_mesh


def network_cost(
    config: ConfigDict, model: TwoBranchNetwork, step: jax.stages.Compiled
) -> dict[str, float]:
    """Returns what a network costs, by XLA's count and plan.

    Args:
      config: a whole config.
      model: its network; shapes suffice.
      step: its compiled training step.

    Returns:
      `parameters`; `gigaflops`, of predicting one image with one draw of windows, and
      `gigaflops_per_further_draw`; `step_megabytes`, that a step holds at once on each device, its
      batch and the optimizer's state included.
    """
    parameters, batch_stats = nnx.state(model, nnx.Param, nnx.BatchStat)
    state, image = (parameters, batch_stats), _one_image(config, model)
    key = jax.eval_shape(lambda: jax.random.key(0))
    predict: Any = make_predict(model, make_mesh(1), draws=1)
    lowered = predict.lower(state, image, key)
    memory: Any = step.memory_analysis()
    return {
        "parameters": sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(parameters)),
        "gigaflops": lowered.cost_analysis()["flops"] / 1e9,
        "gigaflops_per_further_draw": _further_flops(model, state, image, key) / 1e9,
        "step_megabytes": (memory.temp_size_in_bytes + memory.argument_size_in_bytes) / 1e6,
    }


def _further_flops(model: TwoBranchNetwork, state: ModelState, image: Any, key: Any) -> float:
    """Of a draw whose image was seen before: what the branches that draw nothing found is given."""
    if not model.draws:
        return 0.0
    graph = nnx.graphdef(model)

    def fixed_outputs(state: ModelState, image: Any, key: jax.Array) -> Any:
        context = Context.of_pass(key, image["index"])
        return nnx.merge(graph, *state).fixed_outputs(image, context)

    def further(state: ModelState, image: Any, key: jax.Array, fixed: Any) -> jax.Array:
        context = Context.of_pass(key, image["index"])
        return nnx.merge(graph, *state).forward(image, context, fixed).logits

    fixed = jax.eval_shape(fixed_outputs, state, image, key)
    lowered: Any = jax.jit(further).lower(state, image, key, fixed)
    return lowered.cost_analysis()["flops"]


def _one_image(config: ConfigDict, model: TwoBranchNetwork) -> dict[str, jax.ShapeDtypeStruct]:
    strides = backbone_from_config(config).stem_strides
    sizes = {
        "image_low": (1, *config.data.low_size, 3),
        "image_high": (1, *planes_shape(large_size(config.data), strides)),
    }
    batch = {name: jax.ShapeDtypeStruct(size, jnp.uint8) for name, size in sizes.items()}
    if METADATA in model.branch_names:
        inputs = model.branches[METADATA].inputs
        batch[METADATA] = jax.ShapeDtypeStruct((1, inputs), jnp.float32)
    return {**batch, "index": jax.ShapeDtypeStruct((1,), jnp.int32)}
