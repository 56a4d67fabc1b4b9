"""EfficientNets that end early, which compile in a third of the time or less."""

import dataclasses

from stochconv_jax.models import BACKBONES
from stochconv_jax.models.efficientnet import EfficientNet


@dataclasses.dataclass(frozen=True)
class ShallowEfficientNet(EfficientNet):
    """Of so many blocks in its first stages."""

    blocks: tuple[int, ...] = ()

    @property
    def repeats(self):
        return self.blocks


# A block that does not expand, one with strides and one with a residual, which may drop.
SHALLOW = ShallowEfficientNet(0.5, 1.0, 112, 0.2, blocks=(1, 2))
# The least that has a residual that may drop, for tests of what is done with a network.
TWO_BLOCKS = ShallowEfficientNet(0.5, 1.0, 112, 0.2, blocks=(2,))
# For runs, which know their backbone by its name.
NAME, TWO_BLOCKS_NAME = "efficientnet_shallow", "efficientnet_two_blocks"
BACKBONES |= {NAME: SHALLOW, TWO_BLOCKS_NAME: TWO_BLOCKS}
