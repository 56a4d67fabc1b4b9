"""The two ways into a network: a convolution of the small image, and one of random windows."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from stochconv_jax.models.mbconv import CONV_INITIALIZER
from stochconv_jax.ops import patch_conv, stochastic_conv, stochastic_conv_polyphase

# ImageNet's, for pixels scaled to [0, 1].
MEAN = (0.485, 0.456, 0.406)
STANDARD_DEVIATION = (0.229, 0.224, 0.225)


class GlobalConv(nnx.Module):
    """Normalises RGB pixels of 0 to 255 and convolves them, "SAME" padding, without bias."""

    def __init__(
        self,
        features: int,
        kernel_size: tuple[int, int],
        strides: tuple[int, int],
        *,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.kernel = nnx.Param(CONV_INITIALIZER(rngs.params(), (*kernel_size, 3, features)))
        self.strides = strides
        self.dtype = dtype

    def __call__(self, images: jax.Array) -> jax.Array:
        """Returns [B, oh, ow, features] from images [B, H, W, 3], uint8 or float."""
        scaled = images.astype(jnp.float32) / 255
        normalised = (scaled - jnp.array(MEAN)) / jnp.array(STANDARD_DEVIATION)
        return patch_conv(
            normalised.astype(self.dtype), self.kernel.astype(self.dtype), self.strides
        )


class StochasticConv(nnx.Module):
    """Convolves each kernel with its own random window of RGB pixels of 0 to 255, without bias.

    The normalisation is folded into the kernel, so that no float copy of the images is made:
    sum of k * (x / 255 - mean) / std = sum of (k / (255 std)) * x - sum of k * mean / std.
    """

    def __init__(
        self,
        features: int,
        kernel_size: tuple[int, int],
        strides: tuple[int, int],
        output_size: tuple[int, int],
        *,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.kernel = nnx.Param(CONV_INITIALIZER(rngs.params(), (*kernel_size, 3, features)))
        self.strides = strides
        self.output_size = output_size
        self.dtype = dtype

    def __call__(self, images: jax.Array, corners: jax.Array) -> jax.Array:
        """Returns [B, *output_size, features].

        Args:
          images: [B, H, W, 3], or their planes [B, 2, 2, 3, H/2, W/2] from `polyphase`, uint8 or
            float.
          corners: int32 [B, G, 2] from `sample_windows`.
        """
        kernel = self.kernel / jnp.array(STANDARD_DEVIATION)[:, None]
        offset = jnp.einsum("ijck,c->k", kernel, jnp.array(MEAN))
        conv = stochastic_conv_polyphase if images.ndim == 6 else stochastic_conv
        out = conv(images, kernel / 255, corners, self.output_size, self.strides)
        return (out - offset).astype(self.dtype)
