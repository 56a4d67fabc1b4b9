"""The branches of a network: what each looks at, and what it brings to the join."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from stochconv_jax.models.backbone import Backbone
from stochconv_jax.models.context import Context
from stochconv_jax.models.conv import Dense, batch_norm
from stochconv_jax.models.draw_pooling import AttentionPooling
from stochconv_jax.models.stage_outputs import StageOutputs
from stochconv_jax.models.stages import Stages
from stochconv_jax.models.stem import GlobalConv, StochasticConv
from stochconv_jax.models.window_sampler import WindowSampler
from stochconv_jax.ops import image_size_of, window_size

Batch = Mapping[str, Any]
METADATA = "metadata"
KINDS = ("global", "stochastic", METADATA)
METADATA_FEATURES = 256


class BranchOutput(NamedTuple):
    """What a branch brings to the join, and how it came to it.

    Attributes:
      features: [B, ...], for the join.
      last_map: [B, h, w, C] of its last stage, which the head, if it has one, pooled; None where
        there is no map.
      corners: int32 [B, G, 2], where it looked; None where it draws no windows.
    """

    features: jax.Array
    last_map: jax.Array | None = None
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
          batch: `image_low`, `image_high`, `metadata` and whatever else is known of the images.
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
        x = self.stem_tail(self.conv(_given(batch, "image_low", name)), context.train)
        last_map = self.stages.map(outputs.offer(f"{name}/stem", x), context, name, outputs)
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
        images = _given(batch, "image_high", name)
        size = image_size_of(images)
        draws = [
            self.sampler(context.of_draw(draw, self.pooled_draws), size, self.window_size, evidence)
            for draw in range(self.pooled_draws)
        ]
        corners = jnp.concatenate(draws, axis=1)
        x = self.stem_tail(self.conv(images, corners, self.pooled_draws), context.train)
        x = outputs.offer(f"{name}/stem", x)
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


class MetadataBranch(nnx.Module):
    """Looks at what a table knows of the image: relu(norm(dense(x))), 256 features.

    The dropout behind it is the network's own, which acts on all joined features.

    Source: Mashhadi 2023, section 3.3.6.
    """

    draws = False
    guided = False

    def __init__(self, inputs: int, *, epsilon: float, dtype: DTypeLike, rngs: nnx.Rngs):
        self.inputs = inputs
        self.dense = Dense(inputs, METADATA_FEATURES, dtype=dtype, rngs=rngs)
        self.norm = batch_norm(
            METADATA_FEATURES, activation="relu", epsilon=epsilon, dtype=dtype, rngs=rngs
        )

    def __call__(
        self,
        batch: Batch,
        context: Context,
        name: str,
        outputs: StageOutputs,
        evidence: jax.Array | None = None,
    ) -> BranchOutput:
        """Maps `metadata` [B, M] to features [B, 256]."""
        x = self.dense(_given(batch, "metadata", name))
        x = self.norm(x, use_running_average=not context.train)
        return BranchOutput(outputs.offer(f"{name}/head", x))


def make_branch(
    kind: str,
    backbone: Backbone,
    features: int,
    last: int,
    looks: Mapping[str, Any],
    metadata_inputs: int,
    made: Mapping[str, Any],
) -> GlobalBranch | StochasticBranch | MetadataBranch:
    """Returns the branch of a kind: `looks` is for the stochastic one, `made` for every layer."""
    if kind == "global":
        return GlobalBranch(backbone, features, last, **made)
    if kind == "stochastic":
        return StochasticBranch(backbone, features, last, **looks, **made)
    return MetadataBranch(
        metadata_inputs,
        epsilon=backbone.batch_norm_epsilon,
        dtype=made["dtype"],
        rngs=made["rngs"],
    )


def unique_names(kinds: Sequence[str]) -> tuple[str, ...]:
    """Names branches by their kind, a second one of a kind with its number."""
    counts = [kinds[: place + 1].count(kind) for place, kind in enumerate(kinds)]
    return tuple(
        kind if count == 1 else f"{kind}_{count}" for kind, count in zip(kinds, counts, strict=True)
    )


def _given(batch: Batch, key: str, name: str) -> jax.Array:
    given = batch.get(key)
    if given is None:
        raise ValueError(f"{key} is not given; the {name} branch looks at it")
    return given
