"""The operations that are written in C++ for the CPU, where the installation could build them."""

import contextlib
import contextvars
import ctypes
import functools
import importlib.util
from collections.abc import Iterator
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from stochconv_jax.ops.activation import Activation
from stochconv_jax.ops.padding import Pads

TARGETS = (
    "stochastic_conv",
    "stochastic_conv_kernel_gradient",
    "batch_norm_power_sums",
    "batch_norm_activated",
    "batch_norm_activated_sums",
    "batch_norm_gradient_sums",
    "batch_norm_input_gradient",
    "depthwise_conv",
    "depthwise_conv_input_gradient",
    "depthwise_conv_kernel_gradient",
)

_xla_alone = contextvars.ContextVar("xla_alone", default=False)


@contextlib.contextmanager
def xla_alone() -> Iterator[None]:
    """Keeps what is traced within to operations of XLA, for programs that are run elsewhere."""
    token = _xla_alone.set(True)
    try:
        yield
    finally:
        _xla_alone.reset(token)


def native_forms() -> bool:
    """Returns whether what is traced now may call the operations in C++."""
    return not _xla_alone.get() and is_built()


@functools.cache
def is_built() -> bool:
    """Returns whether this installation has the operations in C++, and makes them known to XLA."""
    found = importlib.util.find_spec("stochconv_jax.ops._native")
    if found is None or found.origin is None:
        return False
    try:
        library = ctypes.CDLL(found.origin)
        handlers = {target: getattr(library, target) for target in TARGETS}
    except (OSError, AttributeError):  # built on another system, or of other sources
        return False
    for target, handler in handlers.items():
        capsule = jax.ffi.pycapsule(handler)
        jax.ffi.register_ffi_target(f"stochconv_jax_{target}", capsule, platform="cpu")
    return True


def native_stochastic_conv(
    planes: jax.Array, kernel: jax.Array, corners: jax.Array, output_size: tuple[int, int]
) -> jax.Array:
    """Does what `stochastic_conv_polyphase` does, for a window for each kernel.

    Args:
      planes: [B, sh, sw, C, h, w], uint8 or float32.
      kernel: [kh, kw, C, K], float.
      corners: int [B, K, 2]; a window that lies outside is moved inside.
      output_size: (oh, ow).

    Returns:
      [B, oh, ow, K] in the kernel's dtype; sums are made in float32.
    """
    shape = (planes.shape[0], *output_size, kernel.shape[-1])
    operands = (planes, kernel.astype(jnp.float32), corners.astype(jnp.int32))
    return _call("stochastic_conv", shape, *operands).astype(kernel.dtype)


def native_kernel_gradient(
    planes: jax.Array, kernel: jax.Array, corners: jax.Array, cotangent: jax.Array
) -> jax.Array:
    """Returns the gradient of `native_stochastic_conv` in the kernel, like the kernel.

    Each image's part is summed by itself and the parts in their order, so that the sum is the same
    however many threads there are.
    """
    operands = (planes, corners.astype(jnp.int32), cotangent.astype(jnp.float32))
    target = "stochastic_conv_kernel_gradient"
    return _call(target, kernel.shape, *operands).astype(kernel.dtype)


def native_batch_norm_pass(
    name: str, shape: tuple[int, ...], *operands: jax.Array, activation: Activation | None = None
) -> jax.Array:
    """Runs one of the passes of batch_norm_passes.py, which says what they do.

    Sums are the same however many threads there are.

    Args:
      name: of `TARGETS`, behind "batch_norm_".
      shape: of what is returned, float32.
      operands: float32.
      activation: for the passes that have one.
    """
    # As csrc/batch_norm.cc numbers them.
    number = activation and {"activation": np.int64(get_args(Activation).index(activation))}
    return _call(f"batch_norm_{name}", shape, *operands, **(number or {}))


def native_depthwise_conv(
    x: jax.Array, kernel: jax.Array, stride: int, pads: Pads, shape: tuple[int, ...]
) -> jax.Array:
    """Convolves every channel with its own kernel of 3x3 or 5x5 taps, with stride 1 or 2.

    Args:
      x: float32 [B, H, W, C].
      kernel: float32 [kh, kw, 1, C].
      stride: along both axes.
      pads: ((top, bottom), (left, right)).
      shape: of what is returned, [B, oh, ow, C].
    """
    return _call("depthwise_conv", shape, x, kernel, **_place(stride, pads))


def native_depthwise_gradients(
    x: jax.Array, kernel: jax.Array, cotangent: jax.Array, stride: int, pads: Pads
) -> tuple[jax.Array, jax.Array]:
    """Returns the gradients of `native_depthwise_conv` in x and in the kernel.

    The latter is the sum of each image's, in their order, so that it is the same however many
    threads there are.
    """
    place = _place(stride, pads)
    return (
        _call("depthwise_conv_input_gradient", x.shape, kernel, cotangent, **place),
        _call("depthwise_conv_kernel_gradient", kernel.shape, x, cotangent, **place),
    )


def _place(stride: int, pads: Pads) -> dict[str, np.int64]:
    (top, _), (left, _) = pads
    return {"stride": np.int64(stride), "top": np.int64(top), "left": np.int64(left)}


def _call(
    target: str, shape: tuple[int, ...], *operands: jax.Array, **attributes: np.int64
) -> jax.Array:
    """Calls one of `TARGETS`; the operands vary alike over the axes of a mesh (`vary_alike`)."""
    like = jax.typeof(operands[0])
    mesh = like.sharding.mesh
    result = jax.ShapeDtypeStruct(
        shape,
        jnp.float32,
        sharding=None if mesh.empty else NamedSharding(mesh, PartitionSpec()),
        manual_axis_type=like.manual_axis_type,
    )
    call = jax.ffi.ffi_call(f"stochconv_jax_{target}", result, vmap_method="sequential")
    return call(*operands, **attributes)
