"""The methods of explanation, each a map of every image of a batch."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from flax import nnx

from stochconv_jax.explanations.attribution import (
    Score,
    grad_cam,
    gradient_shap,
    integrated_gradients,
    occlusion,
)
from stochconv_jax.explanations.draws import mean_over_draws
from stochconv_jax.explanations.views import class_scores, hide
from stochconv_jax.explanations.window_map import window_map
from stochconv_jax.inference.predict import draw_logits
from stochconv_jax.keys import image_keys, pinned
from stochconv_jax.models import Context, TwoBranchNetwork
from stochconv_jax.models.branch import Batch

# From (model, batch, key, targets int32 [B], draws) to maps, by name.
Method = Callable[[TwoBranchNetwork, Batch, jax.Array, jax.Array, int], Mapping[str, jax.Array]]
# Squares that are hidden in a row of them, each as wide as two strides.
SQUARES = 8


def grad_cam_map(
    model: TwoBranchNetwork, batch: Batch, key: jax.Array, targets: jax.Array, draws: int
) -> Mapping[str, jax.Array]:
    """Grad-CAM on the last map of the global branch, whatever its size."""
    stages = model.branches["global"].stages.numbers
    stage = f"global/stage{stages[-1]}" if stages else "global/stem"

    def of_draw(draw: jax.Array) -> jax.Array:
        context = Context.of_pass(key, batch["index"], draw=draw)
        activations = model.forward(batch, context, stages=(stage,)).stages[stage]

        def score(moved: jax.Array) -> jax.Array:
            logits = model.forward(batch, context, replaced={stage: moved}).logits
            return class_scores(logits, targets)

        return grad_cam(score, activations)

    return {"map": _mean_over_deciding_draws(model, of_draw, draws)}


def integrated_gradients_map(
    model: TwoBranchNetwork, batch: Batch, key: jax.Array, targets: jax.Array, draws: int
) -> Mapping[str, jax.Array]:
    """Integrated gradients of the small image from the mean pixel, its channels added."""

    def of_draw(draw: jax.Array) -> jax.Array:
        score, low = _score_of_low(model, batch, key, targets, draw)
        return integrated_gradients(score, low, mean_pixel(model)).sum(axis=-1)

    return {"map": _mean_over_deciding_draws(model, of_draw, draws)}


def gradient_shap_map(
    model: TwoBranchNetwork, batch: Batch, key: jax.Array, targets: jax.Array, draws: int
) -> Mapping[str, jax.Array]:
    """GradientSHAP of the small image from black, the mean pixel and white, its channels added."""
    baselines = jnp.stack([jnp.zeros(3), mean_pixel(model), jnp.full(3, 255.0)])

    def of_draw(draw: jax.Array) -> jax.Array:
        score, low = _score_of_low(model, batch, key, targets, draw)
        every = jnp.broadcast_to(baselines[:, None, None], (3, *low.shape[1:]))
        keys = image_keys(jax.random.fold_in(pinned(key), draw), batch["index"])
        return gradient_shap(score, low, every, keys).sum(axis=-1)

    return {"map": _mean_over_deciding_draws(model, of_draw, draws)}


def occlusion_map(
    model: TwoBranchNetwork, batch: Batch, key: jax.Array, targets: jax.Array, draws: int
) -> Mapping[str, jax.Array]:
    """Occlusion of both images alike by squares in the mean pixel's colour.

    What hides a part of the large image hides it from whichever windows look there.
    """
    images, *size, _ = batch["image_low"].shape
    stride = -(-max(size) // SQUARES)

    def score(kept: jax.Array) -> jax.Array:
        seen = hide(batch, kept[..., 0], mean_pixel(model))
        logits = draw_logits(model, seen, key, draws)
        return class_scores(logits.mean(axis=1), targets)

    return {"map": occlusion(score, jnp.ones((images, *size, 1)), 2 * stride, stride)}


def window_maps(
    model: TwoBranchNetwork, batch: Batch, key: jax.Array, targets: jax.Array, draws: int
) -> Mapping[str, jax.Array]:
    """What windows found, by cell of the large image, and which share of the looks saw each."""
    found = window_map(model, batch, key, targets, draws)
    return {"map": found.attribution, "coverage": found.coverage}


METHODS: dict[str, Method] = {
    "grad_cam": grad_cam_map,
    "integrated_gradients": integrated_gradients_map,
    "gradient_shap": gradient_shap_map,
    "occlusion": occlusion_map,
    "window_map": window_maps,
}


def mean_pixel(model: TwoBranchNetwork) -> jax.Array:
    """Returns the colour that the network's normalisation makes 0: float32 [3] of 0 to 255."""
    pictorial = (branch for branch in model.branches.values() if hasattr(branch, "conv"))
    return jnp.array(next(pictorial).conv.mean, jnp.float32) * 255


def _score_of_low(
    model: TwoBranchNetwork, batch: Batch, key: jax.Array, targets: jax.Array, draw: jax.Array
) -> tuple[Score, jax.Array]:
    """Returns the score as a function of the small images, and these as floats."""
    context = Context.of_pass(key, batch["index"], draw=draw)

    def score(low: jax.Array) -> jax.Array:
        seen = {**batch, "image_low": low}
        return class_scores(model.forward(seen, context).logits, targets)

    return score, batch["image_low"].astype(jnp.float32)


def _mean_over_deciding_draws(
    model: TwoBranchNetwork, of_draw: Callable[[jax.Array], jax.Array], draws: int
) -> jax.Array:
    # Where features join before one dense layer, no window changes the gradient of another branch.
    alike = model.joins_at_head and isinstance(model.classifier, nnx.Linear)
    count = 1 if alike or not model.draws else draws
    return mean_over_draws(of_draw, count)
