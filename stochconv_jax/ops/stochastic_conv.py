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

from stochconv_jax.ops.method import Platform, is_portable, platform_of, run_form
from stochconv_jax.ops.native import (
    is_built,
    native_forms,
    native_kernel_gradient,
    native_stochastic_conv,
)
from stochconv_jax.ops.polyphase import polyphase
from stochconv_jax.ops.varying import vary_alike
from stochconv_jax.ops.windows import window_size


class _Form(NamedTuple):
    output_size: tuple[int, int]
    strides: tuple[int, int]
    platform: Platform
    native: bool


def stochastic_conv(
    images: jax.Array,
    kernel: jax.Array,
    corners: jax.Array,
    output_size: tuple[int, int],
    strides: tuple[int, int] = (2, 2),
    method: str = "auto",
) -> jax.Array:
    """Convolves each kernel with its own window of each image, without padding.

    out[b, y, x, k] = sum over i, j, c of
        images[b, row + y * strides[0] + i, column + x * strides[1] + j, c] * kernel[i, j, c, k]
    where (row, column) = corners[b, k // (K // G)].

    Differentiable (in reverse mode) in `kernel` and, where they are floating point, in `images`.

    Args:
      images: [B, H, W, C], any float dtype or uint8.
      kernel: [kh, kw, C, K], float; its dtype is the output's. Sums are made in float32.
      corners: int [B, G, 2] with G dividing K, from `sample_windows`: neighbouring kernels share a
        window. G = K is the paper's layer, G = 1 one crop for all kernels. Every window must lie
        inside its image; this is not checked.
      output_size: (oh, ow).
      strides: (vertical, horizontal).
      method: as of `stochastic_conv_polyphase`.

    Returns:
      [B, oh, ow, K].

    Raises:
      ValueError: the shapes do not fit together, or `method` is unknown.

    Source: Reekie 2021, section 3.2.1, "Stochastic Convolution by Image".
    """
    if is_portable(method):
        return _from_windows(images, kernel, corners, output_size, strides)
    bottom, right = (
        -size % stride for size, stride in zip(images.shape[1:3], strides, strict=True)
    )
    images = jnp.pad(images, ((0, 0), (0, bottom), (0, right), (0, 0)))
    planes = polyphase(images, strides)
    return stochastic_conv_polyphase(planes, kernel, corners, output_size, method=method)


def stochastic_conv_polyphase(
    planes: jax.Array,
    kernel: jax.Array,
    corners: jax.Array,
    output_size: tuple[int, int],
    strides: tuple[int, int] | None = None,
    method: str = "auto",
) -> jax.Array:
    """Does what `stochastic_conv` does, on images already split by `polyphase`: the fast way.

    Args:
      planes: [B, sh, sw, C, H / sh, W / sw], float or uint8; the strides are (sh, sw).
      kernel: [kh, kw, C, K].
      corners: int [B, G, 2] in pixels of the whole image.
      output_size: (oh, ow).
      strides: None, or (vertical, horizontal), which must be those of the planes.
      method: "native" is the form in C++ for the CPU, of planes in uint8 or float32, which the
        installation builds where it can; "loop" takes one image after the other (for the gradients
        also one kernel after the other), "batched" all at once. "auto" takes "native" where the
        program is lowered for the CPU, or "loop" where that was not built (there XLA would fuse the
        output's transposition into the gathers of the batched form, which makes it four times
        slower), and "batched" elsewhere (a loop would starve an accelerator). The numbers are the
        same to rounding. The gradient in the planes has no form in C++.

    Returns:
      [B, oh, ow, K] in the kernel's dtype.

    Raises:
      ValueError: the shapes do not fit together, or `method` is unknown or was not built.
    """
    planes, kernel, corners = map(jnp.asarray, (planes, kernel, corners))
    _check_shapes(planes.shape, kernel.shape, corners.shape, strides, output_size)
    corners = jnp.repeat(corners, kernel.shape[-1] // corners.shape[1], axis=1)
    form = _form(method, output_size, planes)
    return _conv(form, *vary_alike(planes, kernel, corners))


def _form(method: str, output_size: tuple[int, int], planes: jax.Array) -> _Form:
    strides = (planes.shape[1], planes.shape[2])
    known = planes.dtype in (jnp.uint8, jnp.float32)
    if method == "native" and not (known and is_built()):
        raise ValueError(
            "method is 'native', which takes planes in uint8 or float32 and a C++ compiler when "
            f"this package is installed; the planes are {planes.dtype} and it was "
            f"{'' if is_built() else 'not '}built"
        )
    if method == "native":
        return _Form(output_size, strides, "cpu", native=True)
    platform = platform_of(method, cpu="loop", elsewhere="batched")
    return _Form(output_size, strides, platform, method == "auto" and known and native_forms())


def _from_windows(
    images: jax.Array,
    kernel: jax.Array,
    corners: jax.Array,
    output_size: tuple[int, int],
    strides: tuple[int, int],
) -> jax.Array:
    """Copies every window and convolves the copies in groups: two operations that all formats know.

    Without gradients of its own; the copies hold strides^2 * C / (K / G) times the output.
    """
    batch, height, width, channels = images.shape
    windows = corners.shape[1]
    tall, wide = window_size(output_size, (kernel.shape[0], kernel.shape[1]), strides)
    rows = corners[:, :, 0, None] + jnp.arange(tall)
    columns = corners[:, :, 1, None] + jnp.arange(wide)
    places = rows[..., None] * width + columns[:, :, None]
    places += lax.broadcasted_iota(jnp.int32, (batch, 1, 1, 1), 0) * (height * width)
    copies = jnp.take(images.reshape(-1, channels), places, axis=0, mode="clip")
    copies = jnp.moveaxis(copies, 1, 3).reshape(batch, tall, wide, windows * channels)
    return lax.conv_general_dilated(
        copies.astype(kernel.dtype),
        kernel,
        strides,
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=windows,
    )


def _check_shapes(
    planes: tuple[int, ...],
    kernel: tuple[int, ...],
    corners: tuple[int, ...],
    strides: tuple[int, int] | None,
    output_size: tuple[int, int],
) -> None:
    rows, columns = strides or ("sh", "sw")
    if len(planes) != 6 or (strides is not None and planes[1:3] != tuple(strides)):
        raise ValueError(f"planes are {planes}; expected [B, {rows}, {columns}, C, h, w]")
    if len(kernel) != 4 or kernel[2] != planes[3]:
        raise ValueError(f"kernel is {kernel}; expected [kh, kw, {planes[3]}, K]")
    if len(corners) != 3 or corners[0] != planes[0] or corners[2] != 2:
        raise ValueError(f"corners are {corners}; expected [{planes[0]}, G, 2]")
    if kernel[3] % corners[1]:
        raise ValueError(
            f"{corners[1]} windows do not divide {kernel[3]} kernels; use a number that does"
        )
    image = (planes[1] * planes[4], planes[2] * planes[5])
    tall, wide = window_size(output_size, (kernel[0], kernel[1]), (planes[1], planes[2]))
    if tall > image[0] or wide > image[1]:
        raise ValueError(
            f"windows of {tall}x{wide} pixels do not fit into images of {image[0]}x{image[1]}; "
            "use larger images or a smaller output"
        )


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _conv(form: _Form, planes: jax.Array, kernel: jax.Array, corners: jax.Array) -> jax.Array:
    native = functools.partial(native_stochastic_conv, output_size=form.output_size)
    return _run(_output, form, planes, kernel, corners, native=native if form.native else None)


def _run(
    function: Callable[..., jax.Array],
    form: _Form,
    *operands: jax.Array,
    native: Callable[..., jax.Array] | None = None,
) -> jax.Array:
    """Calls function(loop, form, *operands) with the loop over images or without, or its equal."""
    looped, batched = (functools.partial(function, loop, form) for loop in (True, False))
    return run_form(form.platform, native or looped, batched, *operands)


def _output(
    loop: bool, form: _Form, planes: jax.Array, kernel: jax.Array, corners: jax.Array
) -> jax.Array:
    def of_image(planes: jax.Array, corners: jax.Array) -> jax.Array:
        def of_kernel(weights: jax.Array, corner: jax.Array) -> jax.Array:
            total = jnp.zeros(form.output_size, jnp.float32)
            for tap, start in _taps(form, weights.shape, corner):
                total += weights[tap] * _block(form, planes, start)
            return total

        return jax.vmap(of_kernel, (-1, 0))(kernel.astype(jnp.float32), corners)

    outputs = _map(loop, of_image, planes, corners)
    return jnp.moveaxis(outputs, 1, -1).astype(kernel.dtype)


def _conv_forward(
    form: _Form, planes: jax.Array, kernel: jax.Array, corners: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array, jax.Array]]:
    return _conv(form, planes, kernel, corners), (planes, kernel, corners)


def _conv_backward(
    form: _Form, residuals: tuple[jax.Array, jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array | np.ndarray, jax.Array, np.ndarray]:
    planes, kernel, corners = residuals
    operands = (planes, kernel, corners, cotangent.astype(jnp.float32))
    planes_gradient = (
        _run(_planes_gradient, form, *operands)
        if jnp.issubdtype(planes.dtype, jnp.floating)
        else np.zeros(planes.shape, jax.dtypes.float0)
    )
    native = native_kernel_gradient if form.native else None
    kernel_gradient = _run(_kernel_gradient, form, *operands, native=native)
    return planes_gradient, kernel_gradient, np.zeros(corners.shape, jax.dtypes.float0)


_conv.defvjp(_conv_forward, _conv_backward)


def _kernel_gradient(
    loop: bool,
    form: _Form,
    planes: jax.Array,
    kernel: jax.Array,
    corners: jax.Array,
    cotangent: jax.Array,
) -> jax.Array:
    def product(block: jax.Array, outer: jax.Array) -> jax.Array:
        # XLA:CPU's fused sum is scalar, its dot product is not; elsewhere the sum is fused with
        # the gather, where a dot product would have the block copied first.
        return jnp.vdot(block, outer) if loop else (block * outer).sum()

    def of_image(planes: jax.Array, corners: jax.Array, cotangent: jax.Array) -> jax.Array:
        def of_kernel(corner: jax.Array, outer: jax.Array) -> jax.Array:
            taps = _taps(form, kernel.shape, corner)
            return jnp.stack([product(_block(form, planes, start), outer) for _, start in taps])

        return _map(loop, of_kernel, corners, cotangent)

    cotangent = jnp.moveaxis(cotangent, -1, 1)
    gradient = _map(loop, of_image, planes, corners, cotangent).sum(axis=0)
    return gradient.T.reshape(kernel.shape).astype(kernel.dtype)


def _planes_gradient(
    loop: bool,
    form: _Form,
    planes: jax.Array,
    kernel: jax.Array,
    corners: jax.Array,
    cotangent: jax.Array,
) -> jax.Array:
    weights = kernel.astype(jnp.float32)

    def of_image(corners: jax.Array, cotangent: jax.Array) -> jax.Array:
        def add_kernel(number: jax.Array, gradient: jax.Array) -> jax.Array:
            for tap, start in _taps(form, kernel.shape, corners[number]):
                block = _block(form, gradient, start) + weights[tap][number] * cotangent[number]
                gradient = lax.dynamic_update_slice(gradient, block[None, None, None], start)
            return gradient

        zeros = jnp.zeros_like(cotangent, shape=planes.shape[1:])
        return lax.fori_loop(0, kernel.shape[-1], add_kernel, zeros)

    cotangent = jnp.moveaxis(cotangent, -1, 1)
    return _map(loop, of_image, corners, cotangent).astype(planes.dtype)


def _taps(
    form: _Form, kernel_shape: tuple[int, ...], corner: jax.Array
) -> Iterator[tuple[tuple[int, int, int], tuple]]:
    """Yields each tap (i, j, c) of a kernel and where its block starts in an image's planes."""
    # Once for each row and column: a division of traced integers is a dozen operations.
    down, across = (
        [divmod(corner[axis] + place, form.strides[axis]) for place in range(kernel_shape[axis])]
        for axis in (0, 1)
    )
    for i, j, c in np.ndindex(*kernel_shape[:3]):
        (row, row_phase), (column, column_phase) = down[i], across[j]
        yield (i, j, c), (row_phase, column_phase, c, row, column)


def _block(form: _Form, planes: jax.Array, start: tuple) -> jax.Array:
    """Returns the pixels that a tap meets, float32 [oh, ow]."""
    block = lax.dynamic_slice(planes, start, (1, 1, 1, *form.output_size))
    return block.reshape(form.output_size).astype(jnp.float32)


def _map(loop: bool, function: Callable[..., jax.Array], *arrays: jax.Array) -> jax.Array:
    """Maps over the leading axis of the arrays."""
    return lax.map(lambda row: function(*row), arrays) if loop else jax.vmap(function)(*arrays)
