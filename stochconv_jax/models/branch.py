"""A branch: a stem and a run of a backbone's stages; and the randomness of its training."""

from typing import Any

import jax
from flax import nnx
from jax.typing import DTypeLike

from stochconv_jax.models.backbone import Backbone
from stochconv_jax.models.stem import GlobalConv, StochasticConv


class Masks:
    """The randomness of one training step, drawn for each image from its own index."""

    def __init__(self, key: jax.Array, image_index: jax.Array):
        self.key = key
        self.image_index = image_index

    def of_part(self, number: int) -> "Masks":
        """Returns the masks of one branch, or of the trunk."""
        return Masks(jax.random.fold_in(self.key, number), self.image_index)

    def uniform(self, count: int) -> jax.Array:
        """Draws [B, count], uniform in [0, 1)."""
        keys = jax.vmap(jax.random.fold_in, (None, 0))(self.key, self.image_index)
        return jax.vmap(lambda key: jax.random.uniform(key, (count,)))(keys)


class Stages(nnx.Module):
    """Stages `first` to `last` of a backbone; one past its final stage stands for the head."""

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
        self.stages: nnx.List = nnx.List()
        for stage in range(first, min(last, len(backbone.repeats)) + 1):
            self.stages.append(backbone.make_stage(stage, in_features, dtype=dtype, rngs=rngs))
            in_features = backbone.stage_features(stage)
        self.has_head = last > len(backbone.repeats)
        if self.has_head:
            self.head = backbone.make_head(in_features, dtype=dtype, rngs=rngs)

    def __call__(self, x: jax.Array, masks: Masks | None) -> jax.Array:
        """Maps [B, H, W, in_features] onward; with `masks`, as in training."""
        blocks = [block for stage in self.stages for block in stage]
        draws = None if masks is None else masks.of_part(0).uniform(len(blocks))
        # In training alone: where there is no gradient there is nothing to keep.
        call = nnx.remat(_call) if self.remat and masks is not None else _call
        for number, block in enumerate(blocks):
            x = call(block, x, None if draws is None else draws[:, number])
        return self.head(x, masks is not None) if self.has_head else x


def _call(block: nnx.Module, x: jax.Array, draw: jax.Array | None) -> jax.Array:
    return block(x, draw)


class Branch(nnx.Module):
    """A stem and the stages up to the join."""

    def __init__(
        self,
        backbone: Backbone,
        name: str,
        features: int,
        output_size: tuple[int, int],
        last: int,
        *,
        remat: bool,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        kernel_size, strides = backbone.stem_kernel_size, backbone.stem_strides
        self.conv = (
            GlobalConv(features, kernel_size, strides, dtype=dtype, rngs=rngs)
            if name == "global"
            else StochasticConv(features, kernel_size, strides, output_size, dtype=dtype, rngs=rngs)
        )
        self.activation = backbone.make_stem_activation(features, dtype=dtype, rngs=rngs)
        self.stages = Stages(backbone, 1, last, features, remat=remat, dtype=dtype, rngs=rngs)

    def __call__(self, masks: Masks | None, *inputs: Any) -> jax.Array:
        """Maps images, or images and corners, onward; with `masks`, as in training."""
        x = self.activation(self.conv(*inputs), masks is not None)
        return self.stages(x, masks)
