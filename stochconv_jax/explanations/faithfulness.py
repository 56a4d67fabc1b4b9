"""How far a map tells the truth about the network: hide what it points at, or show nothing else."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from stochconv_jax.explanations.maps import mean_pixel
from stochconv_jax.explanations.views import class_scores, hide
from stochconv_jax.inference.predict import draw_logits
from stochconv_jax.models import TwoBranchNetwork
from stochconv_jax.models.branch import Batch

# Cells along a side that are hidden or shown as one: single pixels would only add noise.
CELLS = 16


class FaithfulnessCurves(NamedTuple):
    """Scores as parts of an image are hidden, or shown, in the order of a map.

    Attributes:
      shares: float32 [steps + 1], of the image that is hidden or shown, 0 to 1.
      deletion: float32 [B, steps + 1], the score when this share, what the map values most, is
        hidden: the sooner it falls the better.
      insertion: float32 [B, steps + 1], the score when nothing else is shown: the sooner it rises
        the better.
    """

    shares: jax.Array
    deletion: jax.Array
    insertion: jax.Array

    @property
    def deletion_mean(self) -> jax.Array:
        """The area under the deletion curve, float32 [B]; lower is better."""
        return jnp.trapezoid(self.deletion, self.shares, axis=1)

    @property
    def insertion_mean(self) -> jax.Array:
        """The area under the insertion curve, float32 [B]; higher is better."""
        return jnp.trapezoid(self.insertion, self.shares, axis=1)


def faithfulness_curves(
    model: TwoBranchNetwork,
    batch: Batch,
    key: jax.Array,
    targets: jax.Array,
    relevance: jax.Array,
    draws: int,
    steps: int = 8,
) -> FaithfulnessCurves:
    """Hides and shows images in the order of a map, in both resolutions alike.

    Args:
      model: the network.
      batch: as of `draw_logits`.
      key: that of the prediction.
      targets: int32 [B], the class whose logit is followed.
      relevance: float32 [B, rows, columns], of which the mean over each of 16 x 16 cells counts.
      draws: of windows, whose logits are averaged.
      steps: of the curves; twice as many predictions.

    Source: Petsiuk et al. 2018, section 4.1 (RISE), with logits in place of probabilities.
    """
    cells = jax.image.resize(relevance, (len(relevance), CELLS, CELLS), "linear")
    # Ties are broken by place, so that a map that says nothing has an order all the same.
    ranks = jnp.argsort(jnp.argsort(-cells.reshape(len(cells), -1), axis=1), axis=1)
    ranks = ranks.reshape(cells.shape)
    shares = jnp.linspace(0, 1, steps + 1)

    def score(kept: jax.Array) -> jax.Array:
        seen = hide(batch, kept.astype(jnp.float32), mean_pixel(model))
        return class_scores(draw_logits(model, seen, key, draws).mean(axis=1), targets)

    def at(share: jax.Array) -> tuple[jax.Array, jax.Array]:
        first = ranks < jnp.round(share * CELLS**2)
        return score(~first), score(first)

    deletion, insertion = jax.lax.map(at, shares)
    return FaithfulnessCurves(shares, deletion.T, insertion.T)
