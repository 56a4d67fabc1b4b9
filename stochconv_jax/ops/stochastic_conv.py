"""The stochastic convolution: every kernel slides over its own random window of each image.

A strided convolution over a window at any corner reads, for each of the kernel's taps, a contiguous
block of one polyphase plane. The layer is therefore a sum of shifted planes: no window is copied,
and nothing larger than the output is made.
"""

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from stochconv_jax.ops.polyphase import polyphase


class _Geometry(NamedTuple):
    output_size: tuple[int, int]
    strides: tuple[int, int]


def stochastic_conv(
    images: jax.Array,
    kernel: jax.Array,
    corners: jax.Array,
    output_size: tuple[int, int],
    strides: tuple[int, int] = (2, 2),
) -> jax.Array:
    """Convolves each kernel with its own window of each image, without padding.

    out[b, y, x, k] = sum over i, j, c of
        images[b, row + y * strides[0] + i, column + x * strides[1] + j, c] * kernel[i, j, c, k]
    where (row, column) = corners[b, k // (K // G)].

    Differentiable in `kernel` and, where they are floating point, in `images`.

    Args:
      images: [B, H, W, C], any float dtype or uint8.
      kernel: [kh, kw, C, K], float; its dtype is the output's. Sums are made in float32.
      corners: int [B, G, 2] with G dividing K, from `sample_windows`: neighbouring kernels share a
        window. G = K is the paper's layer, G = 1 one crop for all kernels. Every window must lie
        inside its image; this is not checked.
      output_size: (oh, ow).
      strides: (vertical, horizontal).

    Returns:
      [B, oh, ow, K].

    Raises:
      ValueError: the shapes do not fit together.

    Source: Reekie 2021, section 3.2.1, "Stochastic Convolution by Image".
    """
    bottom, right = (
        -size % stride for size, stride in zip(images.shape[1:3], strides, strict=True)
    )
    images = jnp.pad(images, ((0, 0), (0, bottom), (0, right), (0, 0)))
    planes = polyphase(images, strides)
    return stochastic_conv_polyphase(planes, kernel, corners, output_size, strides)


def stochastic_conv_polyphase(
    planes: jax.Array,
    kernel: jax.Array,
    corners: jax.Array,
    output_size: tuple[int, int],
    strides: tuple[int, int] = (2, 2),
) -> jax.Array:
    """Is `stochastic_conv` on images already split by `polyphase`, the fast form.

    Args:
      planes: [B, strides[0], strides[1], C, H / strides[0], W / strides[1]], float or uint8.
      kernel: [kh, kw, C, K].
      corners: int [B, G, 2] in pixels of the whole image.
      output_size: (oh, ow).
      strides: (vertical, horizontal), as given to `polyphase`.

    Returns:
      [B, oh, ow, K] in the kernel's dtype.

    Raises:
      ValueError: the shapes do not fit together.
    """
    planes, kernel, corners = map(jnp.asarray, (planes, kernel, corners))
    _check_shapes(planes.shape, kernel.shape, corners.shape, strides)
    corners = jnp.repeat(corners, kernel.shape[-1] // corners.shape[1], axis=1)
    return _conv(_Geometry(output_size, strides), planes, kernel, corners)


def _check_shapes(
    planes: tuple[int, ...],
    kernel: tuple[int, ...],
    corners: tuple[int, ...],
    strides: tuple[int, ...],
) -> None:
    if len(planes) != 6 or planes[1:3] != strides:
        raise ValueError(f"planes are {planes}; expected [B, {strides[0]}, {strides[1]}, C, h, w]")
    if len(kernel) != 4 or kernel[2] != planes[3]:
        raise ValueError(f"kernel is {kernel}; expected [kh, kw, {planes[3]}, K]")
    if len(corners) != 3 or corners[0] != planes[0] or corners[2] != 2:
        raise ValueError(f"corners are {corners}; expected [{planes[0]}, G, 2]")
    if kernel[3] % corners[1]:
        raise ValueError(
            f"{corners[1]} windows do not divide {kernel[3]} kernels; use a number that does"
        )


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _conv(
    geometry: _Geometry, planes: jax.Array, kernel: jax.Array, corners: jax.Array
) -> jax.Array:
    def output(image: jax.Array, channel: jax.Array) -> jax.Array:
        weights = kernel[..., channel].astype(jnp.float32)
        total = jnp.zeros(geometry.output_size, jnp.float32)
        for tap, block in _blocks(geometry, planes, kernel.shape, image, corners[image, channel]):
            total += weights[tap] * block
        return total

    outputs = _for_each_pair(output, planes.shape[0], kernel.shape[-1])
    return jnp.moveaxis(outputs, 1, -1).astype(kernel.dtype)


def _conv_forward(
    geometry: _Geometry, planes: jax.Array, kernel: jax.Array, corners: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array, jax.Array]]:
    return _conv(geometry, planes, kernel, corners), (planes, kernel, corners)


def _conv_backward(
    geometry: _Geometry,
    residuals: tuple[jax.Array, jax.Array, jax.Array],
    cotangent: jax.Array,
) -> tuple[jax.Array | np.ndarray, jax.Array, np.ndarray]:
    planes, kernel, corners = residuals
    cotangent = jnp.moveaxis(cotangent.astype(jnp.float32), -1, 1)
    no_gradient = np.zeros(corners.shape, jax.dtypes.float0)
    kernel_gradient = _kernel_gradient(geometry, planes, kernel, corners, cotangent)
    if not jnp.issubdtype(planes.dtype, jnp.floating):
        return np.zeros(planes.shape, jax.dtypes.float0), kernel_gradient, no_gradient
    return (
        _planes_gradient(geometry, planes, kernel, corners, cotangent),
        kernel_gradient,
        no_gradient,
    )


_conv.defvjp(_conv_forward, _conv_backward)


def _kernel_gradient(
    geometry: _Geometry,
    planes: jax.Array,
    kernel: jax.Array,
    corners: jax.Array,
    cotangent: jax.Array,
) -> jax.Array:
    def taps(image: jax.Array, channel: jax.Array) -> jax.Array:
        outer = cotangent[image, channel].reshape(-1)
        return jnp.stack(
            [
                jnp.dot(block.reshape(-1), outer)
                for _, block in _blocks(
                    geometry, planes, kernel.shape, image, corners[image, channel]
                )
            ]
        )

    gradient = _for_each_pair(taps, planes.shape[0], kernel.shape[-1]).sum(axis=0)
    return gradient.T.reshape(kernel.shape).astype(kernel.dtype)


def _planes_gradient(
    geometry: _Geometry,
    planes: jax.Array,
    kernel: jax.Array,
    corners: jax.Array,
    cotangent: jax.Array,
) -> jax.Array:
    batch, kernels = planes.shape[0], kernel.shape[-1]
    weights = kernel.astype(jnp.float32)

    def add_pair(pair: jax.Array, gradient: jax.Array) -> jax.Array:
        image, channel = pair // kernels, pair % kernels
        for (i, j, c), start in _starts(geometry, kernel.shape, image, corners[image, channel]):
            block = lax.dynamic_slice(gradient, start, (1, 1, 1, 1, *geometry.output_size))
            block += weights[i, j, c, channel] * cotangent[image, channel]
            gradient = lax.dynamic_update_slice(gradient, block, start)
        return gradient

    zeros = jnp.zeros(planes.shape, jnp.float32)
    return lax.fori_loop(0, batch * kernels, add_pair, zeros).astype(planes.dtype)


def _starts(
    geometry: _Geometry, kernel_shape: tuple[int, ...], image: jax.Array, corner: jax.Array
) -> Iterator[tuple[tuple[int, int, int], tuple]]:
    """Yields each tap (i, j, c) of a kernel and where its block starts in the planes."""
    rows, columns = geometry.strides
    for i, j, c in np.ndindex(*kernel_shape[:3]):
        row, column = corner[0] + i, corner[1] + j
        yield (i, j, c), (image, row % rows, column % columns, c, row // rows, column // columns)


def _blocks(
    geometry: _Geometry,
    planes: jax.Array,
    kernel_shape: tuple[int, ...],
    image: jax.Array,
    corner: jax.Array,
) -> Iterator[tuple[tuple[int, int, int], jax.Array]]:
    """Yields each tap (i, j, c) and the pixels that it meets, float32 [oh, ow]."""
    for tap, start in _starts(geometry, kernel_shape, image, corner):
        block = lax.dynamic_slice(planes, start, (1, 1, 1, 1, *geometry.output_size))
        yield tap, block.reshape(geometry.output_size).astype(jnp.float32)


def _for_each_pair(
    function: Callable[[jax.Array, jax.Array], jax.Array], images: int, channels: int
) -> jax.Array:
    """Returns function(image, channel) for every pair, [images, channels, ...].

    On the CPU a loop, since XLA would fuse the outputs' later transposition into the gathers of a
    batched form (4x slower forward, measured); elsewhere batched, since a loop would starve an
    accelerator.
    """

    def loop() -> jax.Array:
        pairs = lax.map(
            lambda pair: function(pair // channels, pair % channels), jnp.arange(images * channels)
        )
        return pairs.reshape(images, channels, *pairs.shape[1:])

    def batched() -> jax.Array:
        over_channels = jax.vmap(function, (None, 0))
        return jax.vmap(over_channels, (0, None))(jnp.arange(images), jnp.arange(channels))

    return lax.platform_dependent(cpu=loop, default=batched)
