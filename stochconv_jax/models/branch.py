"""The branches of a network: what each looks at, and what it brings to the join."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from stochconv_jax.models.backbone import Backbone
from stochconv_jax.models.context import Context
from stochconv_jax.models.draw_pooling import AttentionPooling
from stochconv_jax.models.stage_outputs import StageOutputs
from stochconv_jax.models.stages import Stages
from stochconv_jax.models.stem import GlobalConv, StochasticConv
from stochconv_jax.models.window_sampler import WindowSampler
from stochconv_jax.ops import image_size_of, window_size

Batch = Mapping[str, Any]


class BranchOutput(NamedTuple):
    """What a branch brings to the join, and how it came to it.

    Attributes:
      features: [B, ...], for the join.
      last_map: [B, h, w, C] of its last stage, which the head, if it has one, pooled.
      corners: int32 [B, G, 2], where it looked; None where it draws no windows.
    """

    features: jax.Array
    last_map: jax.Array
    corners: jax.Array | None = None


class Branch(Protocol):
    """One way of looking at an image.

    Attributes:
      draws: whether it looks elsewhere in every pass; such branches are asked after the others.
      guided: whether it asks where those found evidence.
    """

    draws: bool

    @property
    def guided(self) -> bool:
        """See above; a property, since a branch may leave it to its sampler."""

    def __call__(
        self,
        batch: Batch,
        context: Context,
        name: str,
        outputs: StageOutputs,
        evidence: jax.Array | None = None,
    ) -> BranchOutput:
        """Looks at a batch.

        Args:
          batch: `image_low`, `image_high` and whatever else is known of the images.
          context: of the pass, for this part of the network.
          name: its own.
          outputs: to offer the outputs of stages to.
          evidence: where the branches asked before found any; see `WindowSampler`.
        """


class GlobalBranch(nnx.Module):
    """Sees the whole image small: a stem and the backbone's stages up to the join."""

    draws = False
    guided = False

    def __init__(
        self,
        backbone: Backbone,
        features: int,
        last: int,
        *,
        remat: bool,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.conv = GlobalConv(backbone, features, dtype=dtype, rngs=rngs)
        self.stem_tail = backbone.make_stem_tail(features, dtype=dtype, rngs=rngs)
        entering = backbone.stem_tail_features(features)
        self.stages = Stages(backbone, 1, last, entering, remat=remat, dtype=dtype, rngs=rngs)

    def __call__(
        self,
        batch: Batch,
        context: Context,
        name: str,
        outputs: StageOutputs,
        evidence: jax.Array | None = None,
    ) -> BranchOutput:
        """Maps `image_low` [B, h, w, 3] onward."""
        x = self.stem_tail(self.conv(_image(batch, "image_low", name)), context.train)
        outputs.offer(f"{name}/stem", x)
        last_map = self.stages.map(x, context, name, outputs)
        return BranchOutput(self.stages.pool(last_map, context, name, outputs), last_map)


class StochasticBranch(nnx.Module):
    """Sees random windows at full detail: one for each kernel of its stem, or shared by several."""

    draws = True

    def __init__(
        self,
        backbone: Backbone,
        features: int,
        last: int,
        *,
        output_size: tuple[int, int],
        sampler: WindowSampler,
        pooled_draws: int,
        draw_pooling: str,
        remat: bool,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        if features % sampler.windows:
            raise ValueError(f"{sampler.windows} windows do not divide {features} kernels")
        self.conv = StochasticConv(backbone, features, output_size, dtype=dtype, rngs=rngs)
        self.stem_tail = backbone.make_stem_tail(features, dtype=dtype, rngs=rngs)
        entering = backbone.stem_tail_features(features)
        self.stages = Stages(backbone, 1, last, entering, remat=remat, dtype=dtype, rngs=rngs)
        self.sampler = sampler
        self.pooled_draws = pooled_draws
        weighs = pooled_draws > 1 and draw_pooling == "attention"
        brought = backbone.head_features(backbone.stage_features(len(backbone.repeats)))
        self.pooling = AttentionPooling(brought, rngs) if weighs else None
        self.window_size = window_size(output_size, backbone.stem_kernel_size, self.conv.strides)

    def __call__(
        self,
        batch: Batch,
        context: Context,
        name: str,
        outputs: StageOutputs,
        evidence: jax.Array | None = None,
    ) -> BranchOutput:
        """Maps `image_high`, [B, H, W, 3] or its polyphase planes, onward."""
        images = _image(batch, "image_high", name)
        size = image_size_of(images)
        draws = [
            self.sampler(context.of_draw(draw, self.pooled_draws), size, self.window_size, evidence)
            for draw in range(self.pooled_draws)
        ]
        corners = jnp.concatenate(draws, axis=1)
        x = self.stem_tail(self.conv(images, corners, self.pooled_draws), context.train)
        outputs.offer(f"{name}/stem", x)
        each_draw = context.repeated(self.pooled_draws)
        last_map = self.stages.map(x, each_draw, name, outputs)
        features = self.stages.pool(last_map, each_draw, name, outputs)
        return BranchOutput(self._pool_draws(features), last_map, corners)

    @property
    def guided(self) -> bool:
        """Whether its windows follow the evidence."""
        return self.sampler.guided

    def _pool_draws(self, features: jax.Array) -> jax.Array:
        if self.pooled_draws == 1:
            return features
        draws = features.reshape(-1, self.pooled_draws, *features.shape[1:])
        return draws.mean(axis=1) if self.pooling is None else self.pooling(draws)


def _image(batch: Batch, key: str, name: str) -> jax.Array:
    image = batch.get(key)
    if image is None:
        raise ValueError(f"{key} is not given; the {name} branch looks at it")
    return image
