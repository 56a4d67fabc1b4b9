"""The stochastic convolution as its definition reads: what the fast form must equal."""

import jax
import jax.numpy as jnp
from jax import lax

from stochconv_jax.ops import window_size


def readable_stochastic_conv(
    images: jax.Array,
    kernel: jax.Array,
    corners: jax.Array,
    output_size: tuple[int, int],
    strides: tuple[int, int],
) -> jax.Array:
    """Cuts out each window, then convolves it; arguments as of `stochastic_conv`."""
    height, width = window_size(output_size, kernel.shape[:2], strides)
    corners = jnp.repeat(corners, kernel.shape[-1] // corners.shape[1], axis=1)

    def one_kernel(image: jax.Array, corner: jax.Array, weights: jax.Array) -> jax.Array:
        window = lax.dynamic_slice(image, (*corner, 0), (height, width, image.shape[-1]))
        return lax.conv_general_dilated(
            window[None].astype(weights.dtype),
            weights[..., None],
            strides,
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )[0, ..., 0]

    over_kernels = jax.vmap(one_kernel, in_axes=(None, 0, -1), out_axes=-1)
    return jax.vmap(over_kernels, in_axes=(0, 0, None))(images, corners, kernel)
