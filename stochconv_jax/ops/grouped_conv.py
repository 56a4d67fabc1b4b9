"""A convolution in few groups of channels, written so that the CPU runs each as a dense one."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from stochconv_jax.ops.method import platform_of, run_form
from stochconv_jax.ops.padding import Padding, Pads, resolve_padding
from stochconv_jax.ops.patch_conv import patch_conv
from stochconv_jax.ops.varying import vary_alike


def grouped_conv(
    x: jax.Array,
    kernel: jax.Array,
    groups: int,
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "SAME",
    method: str = "auto",
) -> jax.Array:
    """Convolves each group of channels with kernels of its own; one group is a dense convolution.

    The same numbers as `lax.conv_general_dilated(..., feature_group_count=groups)`, forward and
    gradients. For as many groups as channels there is `depthwise_conv`.

    Args:
      x: [B, H, W, C], float.
      kernel: [kh, kw, C / groups, K], same dtype.
      groups: dividing C and K.
      strides: (vertical, horizontal).
      padding: "SAME" (as TensorFlow pads: the odd pixel at the end), "SYMMETRIC" (as PyTorch's
        networks do), "VALID", or ((top, bottom), (left, right)).
      method: "grouped" is XLA's grouped convolution; "split" a dense one for each group, three to
        twenty times as fast on the CPU, the gradient in the kernel above all; "auto" takes
        "split" where the program is lowered for the CPU and "grouped" elsewhere, and for a dense
        one of images smaller than the kernel the form that `patch_conv` chooses.

    Returns:
      [B, oh, ow, K].

    Raises:
      ValueError: the kernel's shape does not match the channels and the groups, or `method` is
        unknown.
    """
    if kernel.ndim != 4 or kernel.shape[2] * groups != x.shape[-1] or kernel.shape[3] % groups:
        raise ValueError(
            f"kernel is {kernel.shape}; expected [kh, kw, {x.shape[-1]} / {groups}, K] with K a "
            f"multiple of {groups}"
        )
    larger = any(side < taps for side, taps in zip(x.shape[1:3], kernel.shape[:2], strict=True))
    if method == "auto" and groups == 1 and larger:
        # XLA:CPU swaps images and kernels that are the larger, and is a hundred times slower so.
        return patch_conv(x, kernel, strides, padding)
    platform = platform_of(method, cpu="split", elsewhere="grouped")
    pads = resolve_padding(padding, x.shape[1:3], kernel.shape[:2], strides)
    if groups == 1:
        return _conv(strides, pads, 1, x, kernel)
    split, grouped = (functools.partial(form, strides, pads, groups) for form in (_split, _conv))
    return run_form(platform, split, grouped, *vary_alike(x, kernel))


def _conv(
    strides: tuple[int, int], pads: Pads, groups: int, x: jax.Array, kernel: jax.Array
) -> jax.Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        pads,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def _split(
    strides: tuple[int, int], pads: Pads, groups: int, x: jax.Array, kernel: jax.Array
) -> jax.Array:
    parts = zip(jnp.split(x, groups, axis=-1), jnp.split(kernel, groups, axis=-1), strict=True)
    return jnp.concatenate([_conv(strides, pads, 1, *part) for part in parts], axis=-1)
