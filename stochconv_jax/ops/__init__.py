"""Pure functions: random windows, the stochastic convolution and the CPU's fast convolutions."""

from stochconv_jax.ops.depthwise_conv import depthwise_conv
from stochconv_jax.ops.grouped_conv import grouped_conv
from stochconv_jax.ops.padding import Padding, output_size
from stochconv_jax.ops.patch_conv import patch_conv
from stochconv_jax.ops.polyphase import (
    image_size_of,
    images_from_planes,
    planes_shape,
    polyphase,
)
from stochconv_jax.ops.stochastic_conv import stochastic_conv, stochastic_conv_polyphase
from stochconv_jax.ops.windows import sample_windows, window_size

__all__ = [
    "Padding",
    "depthwise_conv",
    "grouped_conv",
    "image_size_of",
    "images_from_planes",
    "output_size",
    "patch_conv",
    "planes_shape",
    "polyphase",
    "sample_windows",
    "stochastic_conv",
    "stochastic_conv_polyphase",
    "window_size",
]
