"""A residual network as narrow and as short as one likes, for images of one channel.

ResNet-18's own blocks; with widths (64, 128) and two blocks a stage it is the patch encoder of
Bergner et al. 2023.
"""

import dataclasses
from typing import Any

import jax
from flax import nnx
from jax.typing import DTypeLike

from stochconv_jax.models.backbone import Pixels
from stochconv_jax.models.conv import CONV_INITIALIZER
from stochconv_jax.models.resnet import BasicBlock, ResNet

GREY = Pixels((0.0,), (1.0,))


@dataclasses.dataclass(frozen=True)
class NarrowResNet(ResNet):
    """A backbone of basic blocks.

    Attributes:
      widths: channels of each stage, in the place of ResNet's own; the first are the stem's too.
    """

    widths: tuple[int, ...] = (16, 32)
    pixels: Pixels = GREY

    @property
    def stem_features(self) -> int:
        """Kernels of the stem."""
        return self.widths[0]

    def stage_features(self, stage: int) -> int:
        """Channels that leave a stage."""
        return self.widths[stage - 1]

    def initial_stem_kernel(self, features: int, rngs: nnx.Rngs) -> jax.Array:
        """Draws the stem's kernels, float32 [kh, kw, 1, features]."""
        return CONV_INITIALIZER(rngs.params(), (*self.stem_kernel_size, 1, features))

    def make_stage(
        self, stage: int, in_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> nnx.List:
        """Returns the blocks of a stage; the first of every stage but stage 1 has stride 2."""
        width = self.stage_features(stage)
        made: dict[str, Any] = {"padding": self.padding, "epsilon": self.batch_norm_epsilon}
        made |= {"dtype": dtype, "rngs": rngs}
        blocks: nnx.List = nnx.List()
        for repeat in range(self.repeats[stage - 1]):
            inputs = in_features if repeat == 0 else width
            strides = 2 if stage > 1 and repeat == 0 else 1
            blocks.append(BasicBlock(inputs, width, strides=strides, **made))
        return blocks


def narrow_resnet(widths: tuple[int, ...], blocks: int, small: bool) -> NarrowResNet:
    """Returns a backbone with so many blocks in each stage; `small` as of `ResNet`."""
    return NarrowResNet((blocks,) * len(widths), bottleneck=False, small=small, widths=widths)
