"""The two ways into a network: a convolution of the small image, and one of random windows."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from stochconv_jax.models.backbone import Backbone
from stochconv_jax.ops import patch_conv, stochastic_conv, stochastic_conv_polyphase


class GlobalConv(nnx.Module):
    """Normalises RGB pixels of 0 to 255 and convolves them, without bias."""

    def __init__(self, backbone: Backbone, features: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.kernel = nnx.Param(backbone.initial_stem_kernel(features, rngs))
        self.strides = backbone.stem_strides
        self.padding = backbone.stem_padding
        self.mean, self.deviation = backbone.pixels
        self.dtype = dtype

    def __call__(self, images: jax.Array) -> jax.Array:
        """Returns [B, oh, ow, features] from images [B, H, W, 3], uint8 or float."""
        scaled = images.astype(jnp.float32) / 255
        normalised = (scaled - jnp.array(self.mean)) / jnp.array(self.deviation)
        return patch_conv(
            normalised.astype(self.dtype),
            self.kernel.astype(self.dtype),
            self.strides,
            self.padding,
        )


class StochasticConv(nnx.Module):
    """Convolves each kernel with its own random window of RGB pixels of 0 to 255, without bias.

    The normalisation is folded into the kernel, so that no float copy of the images is made:
    sum of k * (x / 255 - mean) / std = sum of (k / (255 std)) * x - sum of k * mean / std.
    """

    def __init__(
        self,
        backbone: Backbone,
        features: int,
        output_size: tuple[int, int],
        *,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.kernel = nnx.Param(backbone.initial_stem_kernel(features, rngs))
        self.strides = backbone.stem_strides
        self.mean, self.deviation = backbone.pixels
        self.output_size = output_size
        self.dtype = dtype

    def __call__(self, images: jax.Array, corners: jax.Array, draws: int = 1) -> jax.Array:
        """Returns [B * draws, *output_size, features], the draws of an image in a row.

        Args:
          images: [B, H, W, 3], or their planes from `polyphase` by the stem's strides, uint8 or
            float.
          corners: int32 [B, draws * G, 2] of the windows.
          draws: of windows an image, which the same kernels look at.
        """
        kernel = self.kernel / jnp.array(self.deviation)[:, None]
        offset = jnp.einsum("ijck,c->k", kernel, jnp.array(self.mean))
        conv = stochastic_conv_polyphase if images.ndim == 6 else stochastic_conv
        # As so many more kernels, each with windows of its own: the images are not repeated.
        kernels = jnp.tile(kernel / 255, draws)
        out = conv(images, kernels, corners, self.output_size, self.strides)
        out = out.reshape(*out.shape[:3], draws, -1)
        out = jnp.moveaxis(out, 3, 1).reshape(-1, *self.output_size, kernel.shape[-1])
        return (out - offset).astype(self.dtype)
