"""How a convolution pads: by name, or by the pixels on each side."""

from collections.abc import Sequence

from jax import lax

Pads = tuple[tuple[int, int], tuple[int, int]]
# "SAME" (as TensorFlow pads: the odd pixel at the end), "SYMMETRIC" (as PyTorch's networks do:
# (kernel - 1) // 2 on every side), "VALID" (nothing), or ((top, bottom), (left, right)).
Padding = str | Pads


def resolve_padding(
    padding: Padding,
    size: Sequence[int],
    kernel_size: Sequence[int],
    strides: Sequence[int],
) -> Pads:
    """Returns the pixels that a padding adds to an image of `size` = (height, width)."""
    if padding == "SYMMETRIC":
        (top, left) = ((length - 1) // 2 for length in kernel_size)
        return (top, top), (left, left)
    if isinstance(padding, str):
        vertical, horizontal = lax.padtype_to_pads(size, kernel_size, strides, padding)
        return vertical, horizontal
    return padding


def output_size(
    size: Sequence[int],
    kernel_size: Sequence[int],
    strides: Sequence[int],
    padding: Padding,
) -> tuple[int, int]:
    """Returns (height, width) of what a convolution makes of an image of `size`."""
    pads = resolve_padding(padding, size, kernel_size, strides)
    height, width = (
        (length + sum(pad) - kernel) // stride + 1
        for length, pad, kernel, stride in zip(size, pads, kernel_size, strides, strict=True)
    )
    return height, width
