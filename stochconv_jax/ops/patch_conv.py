"""A convolution with few input channels, as a network's first layer is."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from stochconv_jax.ops.method import platform_of, run_form
from stochconv_jax.ops.padding import Padding, Pads, output_size, resolve_padding
from stochconv_jax.ops.varying import vary_alike

# Kernels of more taps make patches that cost more memory traffic than the matrix product saves.
MOST_TAPS = 9


def patch_conv(
    x: jax.Array,
    kernel: jax.Array,
    strides: tuple[int, int],
    padding: Padding = "SAME",
    method: str = "auto",
) -> jax.Array:
    """Convolves images of few channels.

    The same numbers as `lax.conv_general_dilated`, forward and gradients.

    Args:
      x: [B, H, W, C], float.
      kernel: [kh, kw, C, K], same dtype.
      strides: (vertical, horizontal).
      padding: "SAME" (as TensorFlow pads: the odd pixel at the end), "SYMMETRIC" (as PyTorch's
        networks do), "VALID", or ((top, bottom), (left, right)).
      method: "conv" is XLA's convolution; "patches" lays the kh * kw * C values that each output
        meets side by side and multiplies them with the kernel as a matrix, about twice as fast on
        the CPU for 3x3 kernels, the gradient in the kernel above all, and several times slower for
        7x7 ones; "auto" takes "patches" for kernels of at most 3x3 where the program is lowered
        for the CPU, and "conv" elsewhere.

    Returns:
      [B, oh, ow, K].

    Raises:
      ValueError: the kernel's shape does not match the channels of x, or `method` is unknown.
    """
    if kernel.ndim != 4 or kernel.shape[2] != x.shape[-1]:
        raise ValueError(f"kernel is {kernel.shape}; expected [kh, kw, {x.shape[-1]}, K]")
    if method == "auto" and kernel.shape[0] * kernel.shape[1] > MOST_TAPS:
        method = "conv"
    platform = platform_of(method, cpu="patches", elsewhere="conv")
    pads = resolve_padding(padding, x.shape[1:3], kernel.shape[:2], strides)
    patches, conv = (functools.partial(form, strides, pads) for form in (_patches, _conv))
    return run_form(platform, patches, conv, *vary_alike(x, kernel))


def _conv(strides: tuple[int, int], pads: Pads, x: jax.Array, kernel: jax.Array) -> jax.Array:
    return lax.conv_general_dilated(
        x, kernel, strides, pads, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _patches(strides: tuple[int, int], pads: Pads, x: jax.Array, kernel: jax.Array) -> jax.Array:
    batch, image_height, image_width, channels = x.shape
    (tall, wide), (down, across) = kernel.shape[:2], strides
    height, width = output_size((image_height, image_width), (tall, wide), strides, pads)
    (top, _), (left, _) = pads
    # A row of a patch is a few pieces of the image's row, each as long as a stride: fewer than
    # there are taps, and XLA:CPU copies them one by one.
    pieces = -(-wide // across)
    rows, columns = (height - 1) * down + tall, (width - 1 + pieces) * across
    edges = (top, rows - image_height - top, 0), (left, columns - image_width - left, 0)
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *edges, (0, 0, 0)))
    x = x.reshape(batch, rows, columns // across, across * channels)
    bottom = (height - 1) * down + 1
    patches = [
        x[:, i : i + bottom : down, j : j + width, : (wide - j * across) * channels]
        for i in range(tall)
        for j in range(pieces)
    ]
    out = jnp.concatenate(patches, axis=-1).reshape(-1, tall * wide * channels)
    return (out @ kernel.reshape(-1, kernel.shape[3])).reshape(
        batch, height, width, kernel.shape[3]
    )
