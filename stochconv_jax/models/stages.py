"""A run of a backbone's stages."""

import jax
from flax import nnx
from jax.typing import DTypeLike

from stochconv_jax.models.backbone import Backbone
from stochconv_jax.models.context import Context
from stochconv_jax.models.stage_outputs import StageOutputs


class Stages(nnx.Module):
    """Stages `first` to `last` of a backbone; one past its final stage stands for the head.

    Stage N is the attribute stageN wherever it stands, so that its parameters have one name in a
    branch, in a trunk and in the plain network.
    """

    def __init__(
        self,
        backbone: Backbone,
        first: int,
        last: int,
        in_features: int,
        *,
        remat: bool,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.remat = remat
        self.numbers = tuple(range(first, min(last, len(backbone.repeats)) + 1))
        for number in self.numbers:
            blocks = backbone.make_stage(number, in_features, dtype=dtype, rngs=rngs)
            setattr(self, f"stage{number}", blocks)
            in_features = backbone.stage_features(number)
        self.has_head = last > len(backbone.repeats)
        if self.has_head:
            self.head = backbone.make_head(in_features, dtype=dtype, rngs=rngs)

    def blocks(self, number: int) -> nnx.List:
        """Returns the blocks of a stage."""
        return getattr(self, f"stage{number}")

    def __call__(
        self, x: jax.Array, context: Context, name: str, outputs: StageOutputs
    ) -> jax.Array:
        """Maps [B, H, W, in_features] onward, offering each stage's output as NAME/stageN."""
        return self.pool(self.map(x, context, name, outputs), context, name, outputs)

    def pool(self, x: jax.Array, context: Context, name: str, outputs: StageOutputs) -> jax.Array:
        """Maps the last stage's map by the head, offered as NAME/head; itself without a head."""
        if not self.has_head:
            return x
        return outputs.offer(f"{name}/head", self.head(x, context.train))

    def map(self, x: jax.Array, context: Context, name: str, outputs: StageOutputs) -> jax.Array:
        """Returns the last stage's map, before the head pools it, if there is one."""
        count = sum(len(self.blocks(number)) for number in self.numbers)
        draws = context.part(0).uniform(count) if context.train else None
        # In training alone: where there is no gradient there is nothing to keep.
        call = nnx.remat(_call) if self.remat and context.train else _call
        place = 0
        for number in self.numbers:
            for block in self.blocks(number):
                x = call(block, x, None if draws is None else draws[:, place])
                place += 1
            x = outputs.offer(f"{name}/stage{number}", x)
        return x


def _call(block: nnx.Module, x: jax.Array, draw: jax.Array | None) -> jax.Array:
    return block(x, draw)
