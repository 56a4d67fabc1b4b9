"""Pooling layers, padded as their families pad."""

import jax
from flax import nnx

from stochconv_jax.ops import Padding
from stochconv_jax.ops.padding import resolve_padding


def max_pool(x: jax.Array, size: int, strides: int, padding: Padding) -> jax.Array:
    """Returns the maximum of each window, [B, H, W, C] -> [B, oh, ow, C]; padding never wins."""
    window, steps = (size, size), (strides, strides)
    pads = resolve_padding(padding, x.shape[1:3], window, steps)
    return nnx.max_pool(x, window, steps, pads)


def average_pool(
    x: jax.Array, size: int, strides: int, padding: Padding, *, count_padding: bool
) -> jax.Array:
    """Returns the mean of each window, [B, H, W, C] -> [B, oh, ow, C].

    Args:
      x: [B, H, W, C].
      size: side of a window.
      strides: between windows.
      padding: around the image.
      count_padding: whether padding counts as zeros in the mean, or not at all.
    """
    window, steps = (size, size), (strides, strides)
    pads = resolve_padding(padding, x.shape[1:3], window, steps)
    return nnx.avg_pool(x, window, steps, pads, count_include_pad=count_padding)
