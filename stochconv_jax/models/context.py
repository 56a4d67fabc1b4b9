"""How a batch passes through a network: in training or not, and with which randomness."""

import dataclasses

import jax
import jax.numpy as jnp

from stochconv_jax.keys import image_keys, pinned


@dataclasses.dataclass(frozen=True)
class Context:
    """What a pass knows besides its images.

    Attributes:
      window_key: windows are drawn from it, for each image by its index.
      mask_key: dropout and drop path likewise.
      image_index: int [B], folded into the keys, so that what an image meets does not depend on its
        place in a batch.
      train: whether to use and update the batch's statistics, and to drop features and blocks.
      draw: int [], which draw of windows it is, of several from one key.
    """

    window_key: jax.Array
    mask_key: jax.Array
    image_index: jax.Array
    train: bool = False
    draw: int | jax.Array = 0

    @classmethod
    def of_pass(
        cls,
        key: jax.Array,
        image_index: jax.Array,
        train: bool = False,
        draw: int | jax.Array = 0,
    ) -> "Context":
        """Returns the context of one pass over a batch."""
        window_key, mask_key = jax.random.split(pinned(key))
        return cls(window_key, mask_key, image_index, train, draw)

    def part(self, number: int) -> "Context":
        """Returns the context of one part of a network, which drops features of its own."""
        return dataclasses.replace(self, mask_key=jax.random.fold_in(self.mask_key, number))

    def of_draw(self, number: int, count: int) -> "Context":
        """Returns the context of one of the draws that this pass makes, `count` in all."""
        return dataclasses.replace(self, draw=self.draw * count + number)

    def repeated(self, times: int) -> "Context":
        """Returns the context of a batch that holds every image so many times in a row."""
        return dataclasses.replace(self, image_index=jnp.repeat(self.image_index, times))

    def uniform(self, count: int) -> jax.Array:
        """Draws [B, count] for masks, uniform in [0, 1)."""
        keys = image_keys(self.mask_key, self.image_index)
        return jax.vmap(lambda key: jax.random.uniform(key, (count,)))(keys)
