"""Depthwise convolution, written so that the CPU runs it as fast as its memory allows."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from stochconv_jax.ops.method import Platform, platform_of, run_form
from stochconv_jax.ops.native import (
    native_depthwise_conv,
    native_depthwise_gradients,
    native_forms,
)
from stochconv_jax.ops.padding import Padding, Pads, output_size, resolve_padding
from stochconv_jax.ops.varying import vary_alike

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")
# Rows per pass of the kernel gradient's loop, so that an accumulator is read once for several.
_ROWS = 4


class _Form(NamedTuple):
    platform: Platform
    native: bool
    strides: tuple[int, int]
    padding: Pads


def depthwise_conv(
    x: jax.Array,
    kernel: jax.Array,
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "SAME",
    method: str = "auto",
) -> jax.Array:
    """Convolves every channel with its own kernel.

    The same numbers as `lax.conv_general_dilated(..., feature_group_count=C)`. Differentiable in
    reverse mode.

    Args:
      x: [B, H, W, C], float.
      kernel: [kh, kw, 1, C], same dtype. Sums are made in float32, or in that dtype if it is wider.
      strides: (vertical, horizontal).
      padding: "SAME" (as TensorFlow pads: the odd pixel at the end), "SYMMETRIC" (as PyTorch's
        networks do), "VALID", or ((top, bottom), (left, right)).
      method: "grouped" is XLA's grouped convolution; "shifted" a sum of shifted copies with
        gradients of its own, many times faster on the CPU; "auto" takes "grouped" where the program
        is not lowered for the CPU, and there "shifted" or, where the installation could build it,
        a form in C++: for float32, kernels of 3x3 or 5x5 and stride 1 or 2.

    Returns:
      [B, oh, ow, C].

    Raises:
      ValueError: the kernel's shape does not match the channels of x, the kernel is larger than the
        padded image, the dtypes differ, the padding is negative, or `method` is unknown.
    """
    if kernel.ndim != 4 or kernel.shape[2:] != (1, x.shape[-1]):
        raise ValueError(f"kernel is {kernel.shape}; expected [kh, kw, 1, {x.shape[-1]}]")
    if x.dtype != kernel.dtype:
        raise ValueError(f"x is {x.dtype} and kernel {kernel.dtype}; convert one of them")
    platform = platform_of(method, cpu="shifted", elsewhere="grouped")
    pads = resolve_padding(padding, x.shape[1:3], kernel.shape[:2], strides)
    (top, bottom), (left, right) = pads
    if min(top, bottom, left, right) < 0:
        raise ValueError(f"padding is {pads}; cut the images before rather than pad by less than 0")
    native = method == "auto" and native_forms() and _is_native(x, kernel, strides)
    form = _Form(platform, native, strides, pads)
    if x.shape[1] + top + bottom < kernel.shape[0] or x.shape[2] + left + right < kernel.shape[1]:
        raise ValueError(f"kernel {kernel.shape[:2]} is larger than the padded image of {x.shape}")
    return _conv(form, *vary_alike(x, kernel))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _conv(form: _Form, x: jax.Array, kernel: jax.Array) -> jax.Array:
    on_cpu = functools.partial(_native if form.native else _shifted, form)
    return run_form(form.platform, on_cpu, functools.partial(_grouped, form), x, kernel)


def _forward(
    form: _Form, x: jax.Array, kernel: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _conv(form, x, kernel), (x, kernel)


def _backward(
    form: _Form, residuals: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    on_cpu = functools.partial(_native_gradients if form.native else _shifted_gradients, form)
    grouped = functools.partial(_grouped_gradients, form)
    return run_form(form.platform, on_cpu, grouped, *residuals, cotangent)


_conv.defvjp(_forward, _backward)


def _is_native(x: jax.Array, kernel: jax.Array, strides: tuple[int, int]) -> bool:
    """Returns whether there is a form in C++ for a convolution."""
    shapes = kernel.shape[:2] in ((3, 3), (5, 5)) and tuple(strides) in ((1, 1), (2, 2))
    return shapes and x.dtype == jnp.float32


def _native(form: _Form, x: jax.Array, kernel: jax.Array) -> jax.Array:
    size = output_size(x.shape[1:3], kernel.shape[:2], form.strides, form.padding)
    shape = (x.shape[0], *size, x.shape[3])
    return native_depthwise_conv(x, kernel, form.strides[0], form.padding, shape)


def _native_gradients(
    form: _Form, x: jax.Array, kernel: jax.Array, cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    return native_depthwise_gradients(x, kernel, cotangent, form.strides[0], form.padding)


def _grouped(form: _Form, x: jax.Array, kernel: jax.Array) -> jax.Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        form.strides,
        form.padding,
        dimension_numbers=_DIMENSIONS,
        feature_group_count=x.shape[-1],
    )


def _grouped_gradients(
    form: _Form, x: jax.Array, kernel: jax.Array, cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x_gradient, kernel_gradient = jax.vjp(functools.partial(_grouped, form), x, kernel)[1](
        cotangent
    )
    return x_gradient, kernel_gradient


# Traced once for all layers of one shape, since a kernel has up to 25 taps.
@functools.partial(jax.jit, static_argnums=0)
def _shifted(form: _Form, x: jax.Array, kernel: jax.Array) -> jax.Array:
    padded = _pad(form, x)
    rows, columns = form.strides
    height = (padded.shape[1] - kernel.shape[0]) // rows + 1
    width = (padded.shape[2] - kernel.shape[1]) // columns + 1
    dtype = _sum_dtype(x)
    weights = kernel.astype(dtype)
    total = jnp.zeros((x.shape[0], height, width, x.shape[3]), dtype)
    for i, j in np.ndindex(*kernel.shape[:2]):
        vertical = slice(i, i + (height - 1) * rows + 1, rows)
        horizontal = slice(j, j + (width - 1) * columns + 1, columns)
        total += padded[:, vertical, horizontal].astype(dtype) * weights[i, j, 0]
    return total.astype(x.dtype)


@functools.partial(jax.jit, static_argnums=0)
def _shifted_gradients(
    form: _Form, x: jax.Array, kernel: jax.Array, cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    return (
        _input_gradient(form, x.shape, kernel, cotangent),
        _kernel_gradient(form, _pad(form, x), kernel, cotangent),
    )


def _pad(form: _Form, x: jax.Array) -> jax.Array:
    # The barrier keeps XLA from reading the middle taps off x, computing x a second time for them.
    return lax.optimization_barrier(jnp.pad(x, ((0, 0), *form.padding, (0, 0))))


def _sum_dtype(x: jax.Array) -> jnp.dtype:
    return jnp.promote_types(x.dtype, jnp.float32)


def _input_gradient(
    form: _Form, shape: tuple[int, ...], kernel: jax.Array, cotangent: jax.Array
) -> jax.Array:
    """Computes every stride-th row and column of the gradient by itself, then interleaves them.

    Input row r + s * q met tap i of output row q + (r + top - i) / s, where that is whole; so each
    phase r is a stride 1 convolution of the cotangent.
    """
    rows, columns = form.strides
    (top, _), (left, _) = form.padding
    size = (shape[1], shape[2])
    count = (-(-size[0] // rows), -(-size[1] // columns))
    vertical = [_phase(phase + top, kernel.shape[0], rows) for phase in range(rows)]
    horizontal = [_phase(phase + left, kernel.shape[1], columns) for phase in range(columns)]
    cotangent, (y0, x0) = _pad_to_reach(cotangent, count, vertical, horizontal)
    dtype = _sum_dtype(cotangent)
    weights = kernel.astype(dtype)

    def gradient_of(
        row_taps: list[tuple[int, int]], column_taps: list[tuple[int, int]]
    ) -> jax.Array:
        total = jnp.zeros((cotangent.shape[0], *count, cotangent.shape[3]), dtype)
        for i, y in row_taps:
            for j, x in column_taps:
                block = cotangent[:, y - y0 : y - y0 + count[0], x - x0 : x - x0 + count[1]]
                total += block.astype(dtype) * weights[i, j, 0]
        return total.astype(cotangent.dtype)

    phases = [
        jnp.stack([gradient_of(row_taps, column_taps) for column_taps in horizontal], axis=3)
        for row_taps in vertical
    ]
    batch, channels = cotangent.shape[0], cotangent.shape[3]
    gradient = jnp.stack(phases, axis=2).reshape(
        batch, count[0] * rows, count[1] * columns, channels
    )
    return gradient[:, : size[0], : size[1]]


def _phase(padded_phase: int, taps: int, stride: int) -> list[tuple[int, int]]:
    """Returns the taps that one phase of the input met, each with the output's offset."""
    return [
        (tap, (padded_phase - tap) // stride)
        for tap in range(taps)
        if (padded_phase - tap) % stride == 0
    ]


def _pad_to_reach(
    cotangent: jax.Array,
    count: tuple[int, int],
    vertical: list[list[tuple[int, int]]],
    horizontal: list[list[tuple[int, int]]],
) -> tuple[jax.Array, tuple[int, int]]:
    """Pads or cuts so that every offset of `count` rows and columns is there; returns the first."""
    pads, firsts = [], []
    for length, size, phases in zip(
        cotangent.shape[1:3], count, (vertical, horizontal), strict=True
    ):
        offsets = [offset for phase in phases for _, offset in phase]
        firsts.append(min(offsets))
        pads.append((-min(offsets), max(offsets) + size - length, 0))
    zero = jnp.zeros((), cotangent.dtype)
    return lax.pad(cotangent, zero, ((0, 0, 0), *pads, (0, 0, 0))), (firsts[0], firsts[1])


def _kernel_gradient(
    form: _Form, padded: jax.Array, kernel: jax.Array, cotangent: jax.Array
) -> jax.Array:
    """Sums products a few rows at a time, each tap in its own accumulator.

    XLA:CPU's own reduction is scalar.
    """
    taps = list(np.ndindex(*kernel.shape[:2]))
    batch, height, width, channels = cotangent.shape
    rows, columns = form.strides
    span = (width - 1) * columns + 1
    dtype = _sum_dtype(cotangent)
    step_rows = max(number for number in range(1, _ROWS + 1) if height % number == 0)

    def add_rows(step: jax.Array, totals: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        first = step * step_rows
        image, top = lax.div(first, height), lax.rem(first, height)
        sums = []
        for (i, j), total in zip(taps, totals, strict=True):
            for row in range(step_rows):
                outer = lax.dynamic_slice(
                    cotangent, (image, top + row, 0, 0), (1, 1, width, channels)
                )[0, 0]
                start = (image, (top + row) * rows + i, j, 0)
                pixels = lax.dynamic_slice(padded, start, (1, 1, span, channels))[0, 0, ::columns]
                total += pixels.astype(dtype) * outer.astype(dtype)
            sums.append(total)
        return tuple(sums)

    zeros = (jnp.zeros_like(cotangent, dtype, shape=(width, channels)),) * len(taps)
    totals = lax.fori_loop(0, batch * height // step_rows, add_rows, zeros)
    gradient = jnp.stack([total.sum(axis=0) for total in totals])
    return gradient.reshape(kernel.shape).astype(kernel.dtype)
