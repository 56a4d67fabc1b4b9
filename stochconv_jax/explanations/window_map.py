"""Where the evidence was that random windows found, and where none of them looked."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from stochconv_jax.explanations.attribution import integrated_gradients
from stochconv_jax.explanations.draws import mean_over_draws
from stochconv_jax.explanations.views import class_scores
from stochconv_jax.models import TwoBranchNetwork
from stochconv_jax.models.branch import Batch, BranchOutput
from stochconv_jax.models.context import Context
from stochconv_jax.ops import image_size_of


class WindowMap(NamedTuple):
    """What windows brought to a score, in cells of the large image.

    A cell is as large as the stem's strides, so that with a stride of 2 a map has a quarter of the
    image's pixels.

    Attributes:
      attribution: float32 [B, rows, columns], the mean over draws of what the kernels that looked
        at a cell brought to the score. An image's cells add up to score - score without the
        stochastic branch's stem, the mean over draws, as the steps of the integral grow.
      coverage: float32 [B, rows, columns], the share of all looks, kernels times draws, that saw a
        cell: where it is 0 nothing is known.
    """

    attribution: jax.Array
    coverage: jax.Array

    @property
    def per_look(self) -> jax.Array:
        """The attribution of a cell by how often it was seen; NaN where it never was.

        In the middle, where more windows lie, it is not larger for that alone.
        """
        seen = self.coverage > 0
        return jnp.where(seen, self.attribution / jnp.where(seen, self.coverage, 1), jnp.nan)


def window_map(
    model: TwoBranchNetwork,
    batch: Batch,
    key: jax.Array,
    targets: jax.Array,
    draws: int,
    steps: int = 8,
) -> WindowMap:
    """Attributes a score to the output of the stochastic stem and carries it back to the image.

    Each draw's output is attributed by integrated gradients from 0, what a stem brings where there
    is nothing, and every kernel's share is put where its window lay.

    Args:
      model: with a stochastic branch.
      batch: as of `draw_logits`.
      key: that of the prediction, so that the draws are those of the prediction.
      targets: int32 [B], the class that is spoken for.
      draws: of windows, one after the other.
      steps: of the integral.

    Raises:
      ValueError: the network has no stochastic branch.
    """
    names = [name for name in model.branch_names if model.branches[name].draws]
    if not names:
        raise ValueError("the network has no stochastic branch, so that there is no window map")
    fixed = model.fixed_outputs(batch, Context.of_pass(key, batch["index"]))

    def of_draw(draw: jax.Array) -> WindowMap:
        context = Context.of_pass(key, batch["index"], draw=draw)
        maps = [_of_branch(model, batch, context, fixed, name, targets, steps) for name in names]
        return jax.tree.map(lambda *each: sum(each, start=jnp.zeros(())), *maps)

    attribution, coverage = mean_over_draws(of_draw, draws)
    return WindowMap(attribution, coverage / len(names))


def _of_branch(
    model: TwoBranchNetwork,
    batch: Batch,
    context: Context,
    fixed: Mapping[str, BranchOutput],
    name: str,
    targets: jax.Array,
    steps: int,
) -> WindowMap:
    stage, branch = f"{name}/stem", model.branches[name]
    found = model.forward(batch, context, fixed, stages=(stage,))
    stem, corners = found.stages[stage], found.corners[name]

    def of_stem(moved: jax.Array) -> jax.Array:
        logits = model.forward(batch, context, fixed, replaced={stage: moved}).logits
        return class_scores(logits, targets)

    attribution = integrated_gradients(of_stem, stem, jnp.zeros(()), steps)
    # What follows the convolution may have shrunk its map.
    cell = tuple(
        stride * -(-before // after)
        for stride, before, after in zip(
            branch.conv.strides, branch.conv.output_size, stem.shape[1:3], strict=True
        )
    )
    # The pixel in the middle of what a place of the map has seen.
    centres = corners + jnp.array(branch.conv.kernel.shape[:2]) // 2
    image_size = image_size_of(batch["image_high"])
    cells = tuple(-(-whole // part) for whole, part in zip(image_size, cell, strict=True))
    each_draw = attribution.reshape(len(corners), branch.pooled_draws, *stem.shape[1:])
    return carry_back(each_draw, centres // jnp.array(cell), cells)


def carry_back(attribution: jax.Array, starts: jax.Array, map_size: tuple[int, ...]) -> WindowMap:
    """Adds what each kernel brought where its window lay.

    Args:
      attribution: float [B, D, oh, ow, K], of D draws.
      starts: int32 [B, D * G, 2], the cell in which each window begins; neighbouring kernels share
        a window.
      map_size: (rows, columns) of the map; every window must lie inside it.
    """
    images, draws, height, width, _ = attribution.shape
    windows = starts.shape[1] // draws
    shared = attribution.reshape(images, draws, height, width, windows, -1).sum(-1)
    shared = jnp.moveaxis(shared, 4, 2).reshape(images, draws * windows, height, width)

    def of_image(maps: jax.Array, starts: jax.Array) -> jax.Array:
        def add(number: jax.Array, total: jax.Array) -> jax.Array:
            place = (starts[number, 0], starts[number, 1])
            here = jax.lax.dynamic_slice(total, place, (height, width))
            return jax.lax.dynamic_update_slice(total, here + maps[number], place)

        return jax.lax.fori_loop(0, len(maps), add, jnp.zeros(map_size))

    seen = jnp.full(shared.shape, 1 / (draws * windows))
    return WindowMap(jax.vmap(of_image)(shared, starts), jax.vmap(of_image)(seen, starts))
