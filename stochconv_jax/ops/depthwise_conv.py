"""Depthwise convolution, written so that the CPU runs it as fast as its memory allows."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")


class _Geometry(NamedTuple):
    strides: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]


def depthwise_conv(
    x: jax.Array,
    kernel: jax.Array,
    strides: tuple[int, int] = (1, 1),
    padding: str | tuple[tuple[int, int], tuple[int, int]] = "SAME",
) -> jax.Array:
    """Convolves every channel with its own kernel.

    The same numbers as `lax.conv_general_dilated(..., feature_group_count=C)`, forward and
    gradients. XLA's grouped convolution is used on accelerators; on the CPU, where it is many times
    slower than memory allows, a sum of shifted copies.

    Args:
      x: [B, H, W, C], float.
      kernel: [kh, kw, 1, C], same dtype.
      strides: (vertical, horizontal).
      padding: "SAME" (as TensorFlow pads: the odd pixel at the end), "VALID", or
        ((top, bottom), (left, right)).

    Returns:
      [B, oh, ow, C].

    Raises:
      ValueError: the kernel's shape does not match the channels of x.
    """
    if kernel.ndim != 4 or kernel.shape[2:] != (1, x.shape[-1]):
        raise ValueError(f"kernel is {kernel.shape}; expected [kh, kw, 1, {x.shape[-1]}]")
    pads = (
        lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
        if isinstance(padding, str)
        else padding
    )
    (top, bottom), (left, right) = pads
    return _conv(_Geometry(strides, ((top, bottom), (left, right))), x, kernel)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _conv(geometry: _Geometry, x: jax.Array, kernel: jax.Array) -> jax.Array:
    return lax.platform_dependent(
        x,
        kernel,
        cpu=functools.partial(_shifted, geometry),
        default=functools.partial(_grouped, geometry),
    )


def _conv_forward(
    geometry: _Geometry, x: jax.Array, kernel: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _conv(geometry, x, kernel), (x, kernel)


def _conv_backward(
    geometry: _Geometry, residuals: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    return lax.platform_dependent(
        *residuals,
        cotangent,
        cpu=functools.partial(_shifted_gradients, geometry),
        default=functools.partial(_grouped_gradients, geometry),
    )


_conv.defvjp(_conv_forward, _conv_backward)


def _grouped(geometry: _Geometry, x: jax.Array, kernel: jax.Array) -> jax.Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        geometry.strides,
        geometry.padding,
        dimension_numbers=_DIMENSIONS,
        feature_group_count=x.shape[-1],
    )


def _grouped_gradients(
    geometry: _Geometry, x: jax.Array, kernel: jax.Array, cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    return jax.vjp(functools.partial(_grouped, geometry), x, kernel)[1](cotangent)


def _pad(geometry: _Geometry, x: jax.Array) -> jax.Array:
    return jnp.pad(x, ((0, 0), *geometry.padding, (0, 0)))


def _shifted(geometry: _Geometry, x: jax.Array, kernel: jax.Array) -> jax.Array:
    x = _pad(geometry, x)
    rows, columns = geometry.strides
    height = (x.shape[1] - kernel.shape[0]) // rows + 1
    width = (x.shape[2] - kernel.shape[1]) // columns + 1
    total = jnp.zeros((x.shape[0], height, width, x.shape[3]), x.dtype)
    for i, j in np.ndindex(*kernel.shape[:2]):
        vertical = slice(i, i + (height - 1) * rows + 1, rows)
        horizontal = slice(j, j + (width - 1) * columns + 1, columns)
        total += x[:, vertical, horizontal] * kernel[i, j, 0]
    return total


def _shifted_gradients(
    geometry: _Geometry, x: jax.Array, kernel: jax.Array, cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    (x_gradient,) = jax.vjp(lambda x: _shifted(geometry, x, kernel), x)[1](cotangent)
    return x_gradient, _shifted_kernel_gradient(geometry, x, kernel, cotangent)


def _shifted_kernel_gradient(
    geometry: _Geometry, x: jax.Array, kernel: jax.Array, cotangent: jax.Array
) -> jax.Array:
    """Sums products row by row, an accumulator a tap: XLA:CPU leaves one reduction scalar."""
    x = _pad(geometry, x)
    kernel_height, kernel_width = kernel.shape[:2]
    batch, height, width, channels = cotangent.shape
    rows, columns = geometry.strides
    span = (width - 1) * columns + 1

    def add_row(step: jax.Array, totals: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        image, row = step // height, step % height
        outer = cotangent[image, row].astype(jnp.float32)
        sums = []
        for tap, total in enumerate(totals):
            i, j = divmod(tap, kernel_width)
            start = (image, row * rows + i, j, 0)
            pixels = lax.dynamic_slice(x, start, (1, 1, span, channels))[0, 0, ::columns]
            sums.append(total + pixels.astype(jnp.float32) * outer)
        return tuple(sums)

    zeros = (jnp.zeros((width, channels), jnp.float32),) * (kernel_height * kernel_width)
    totals = lax.fori_loop(0, batch * height, add_row, zeros)
    gradient = jnp.stack([total.sum(axis=0) for total in totals])
    return gradient.reshape(kernel.shape).astype(kernel.dtype)
