"""The branches of a network: what each looks at, and what it brings to the join."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import jax
from flax import nnx
from jax.typing import DTypeLike

from stochconv_jax.models.backbone import Backbone
from stochconv_jax.models.context import Context
from stochconv_jax.models.stage_outputs import StageOutputs
from stochconv_jax.models.stages import Stages
from stochconv_jax.models.stem import GlobalConv, StochasticConv
from stochconv_jax.models.window_sampler import WindowSampler
from stochconv_jax.ops import image_size_of, window_size

Batch = Mapping[str, Any]


class BranchOutput(NamedTuple):
    """What a branch brings to the join, and where it looked: int32 [B, G, 2], or None."""

    features: jax.Array
    corners: jax.Array | None = None


class Branch(Protocol):
    """One way of looking at an image.

    Attributes:
      draws: whether it looks elsewhere in every pass; such branches are asked after the others.
    """

    draws: bool

    def __call__(
        self,
        batch: Batch,
        context: Context,
        given: Mapping[str, jax.Array],
        name: str,
        outputs: StageOutputs,
    ) -> BranchOutput:
        """Looks at a batch.

        Args:
          batch: `image_low`, `image_high` and whatever else is known of the images.
          context: of the pass, for this part of the network.
          given: what branches asked before bring to the join, by name.
          name: its own.
          outputs: to offer the outputs of stages to.
        """


class GlobalBranch(nnx.Module):
    """Sees the whole image small: a stem and the backbone's stages up to the join."""

    draws = False

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
        given: Mapping[str, jax.Array],
        name: str,
        outputs: StageOutputs,
    ) -> BranchOutput:
        """Maps `image_low` [B, h, w, 3] onward."""
        x = self.stem_tail(self.conv(_image(batch, "image_low", name)), context.train)
        outputs.offer(f"{name}/stem", x)
        return BranchOutput(self.stages(x, context, name, outputs))


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
        self.window_size = window_size(output_size, backbone.stem_kernel_size, self.conv.strides)

    def __call__(
        self,
        batch: Batch,
        context: Context,
        given: Mapping[str, jax.Array],
        name: str,
        outputs: StageOutputs,
    ) -> BranchOutput:
        """Maps `image_high`, [B, H, W, 3] or its polyphase planes, onward."""
        images = _image(batch, "image_high", name)
        corners = self.sampler(context, image_size_of(images), self.window_size, given)
        x = self.stem_tail(self.conv(images, corners), context.train)
        outputs.offer(f"{name}/stem", x)
        return BranchOutput(self.stages(x, context, name, outputs), corners)


def _image(batch: Batch, key: str, name: str) -> jax.Array:
    image = batch.get(key)
    if image is None:
        raise ValueError(f"{key} is not given; the {name} branch looks at it")
    return image
