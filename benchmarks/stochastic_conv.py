"""The stochastic convolution beside a standard stem: python -m benchmarks.stochastic_conv."""

import argparse
import functools
import importlib.util
import pathlib
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.measure import RESULTS, instruction_set, milliseconds, report
from benchmarks.readable_stochastic_conv import readable_stochastic_conv
from stochconv_jax.huge_pages import restart_with_huge_pages
from stochconv_jax.ops import (
    patch_conv,
    polyphase,
    sample_windows,
    stochastic_conv_polyphase,
    window_size,
)

STRIDES = (2, 2)
STANDARD = "standard stem"
STOCHASTIC = "stochastic, one window per image and kernel"
Layer = Callable[[jax.Array, jax.Array], jax.Array]


def standard_stem(images: jax.Array, kernel: jax.Array) -> jax.Array:
    """XLA's convolution, as any network's first layer has it."""
    return lax.conv_general_dilated(
        images, kernel, STRIDES, "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def per_batch_shortcut(
    images: jax.Array, kernel: jax.Array, corners: jax.Array, output: int
) -> jax.Array:
    """One window a kernel for the whole batch, a convolution each, as the paper settled for."""
    side = window_size((output, output))[0]
    outputs = []
    for number in range(kernel.shape[-1]):
        start = (0, corners[0, number, 0], corners[0, number, 1], 0)
        window = lax.dynamic_slice(images, start, (images.shape[0], side, side, 3))
        outputs.append(
            lax.conv_general_dilated(
                window.astype(jnp.float32),
                kernel[..., number : number + 1],
                STRIDES,
                "VALID",
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
        )
    return jnp.concatenate(outputs, axis=-1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints and keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=1024, help="of the large images, pixels")
    parser.add_argument("--output", type=int, default=112, help="side of the layer's map")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    options = parser.parse_args(arguments)
    batch, side, output = options.batch, options.side, options.output

    rng = np.random.default_rng(0)
    large = rng.integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
    planes, images = jnp.asarray(polyphase(large, STRIDES)), jnp.asarray(large)
    small = jnp.asarray(rng.normal(size=(batch, 2 * output, 2 * output, 3)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(3, 3, 3, 32)), jnp.float32)
    cotangent = jnp.asarray(rng.normal(size=(batch, output, output, 32)), jnp.float32)
    windows = functools.partial(
        sample_windows, jax.random.key(0), batch, 32, (side, side), window_size((output, output))
    )
    geometry = ((output, output), STRIDES)
    layers: dict[str, tuple[jax.Array, Layer]] = {
        f"{STANDARD}, XLA": (small, standard_stem),
        f"{STANDARD}, patch_conv": (small, functools.partial(patch_conv, strides=STRIDES)),
        STOCHASTIC: (planes, lambda x, k: stochastic_conv_polyphase(x, k, windows(), *geometry)),
        "stochastic, in JAX alone": (
            planes,
            lambda x, k: stochastic_conv_polyphase(x, k, windows(), *geometry, method="loop"),
        ),
        "stochastic, one window per kernel": (
            planes,
            lambda x, k: stochastic_conv_polyphase(x, k, windows(per_image=False), *geometry),
        ),
        "one window per kernel, as published": (
            images,
            lambda x, k: per_batch_shortcut(x, k, windows(per_image=False), output),
        ),
        "one window per image and kernel, as it reads": (
            images,
            lambda x, k: readable_stochastic_conv(x, k, windows(), *geometry),
        ),
    }
    rows = _rows(layers, kernel, cotangent, options.repeats)
    held = jnp.zeros((batch, 32, *window_size((output, output)), 3), jnp.uint8)
    floors = {
        "copying the bytes that the windows hold": functools.partial(jax.jit(jnp.invert), held),
        "planes on the host, an image": lambda: polyphase(large[0], STRIDES),
    }
    for name, time in milliseconds(floors, options.repeats).items():
        rows.append({"layer": name, "forward ms": time})
    setting = (
        f"batch {batch}, {side}x{side} uint8 (standard: {2 * output}x{2 * output} float32), "
        f"32 kernels of 3x3, stride 2, to {output}x{output}, NHWC; gradient in the kernel; "
        f"{instruction_set()}"
    )
    report("stochastic_conv", setting, rows, options.results)


def _rows(
    layers: dict[str, tuple[jax.Array, Layer]],
    kernel: jax.Array,
    cotangent: jax.Array,
    repeats: int,
) -> list[dict]:
    """Returns each layer's times, also as multiples of the quickest standard stem's."""
    forward, both, memory = {}, {}, {}
    for name, (inputs, layer) in layers.items():

        def with_gradient(
            inputs: jax.Array, kernel: jax.Array, layer: Layer = layer
        ) -> tuple[jax.Array, jax.Array]:
            out, pull_back = jax.vjp(lambda kernel: layer(inputs, kernel), kernel)
            return out, pull_back(cotangent)[0]

        compiled = jax.jit(with_gradient).lower(inputs, kernel).compile()
        forward[name] = functools.partial(jax.jit(layer), inputs, kernel)
        both[name] = functools.partial(compiled, inputs, kernel)
        memory[name] = compiled.memory_analysis().temp_size_in_bytes / 1e6
    if importlib.util.find_spec("torch"):
        name, inputs = f"{STANDARD}, PyTorch", next(iter(layers.values()))[0]
        forward[name], both[name] = _torch_stem(inputs, kernel, cotangent)
    forward_ms, both_ms = milliseconds(forward, repeats), milliseconds(both, repeats)
    stems = [name for name in forward if name.startswith(STANDARD)]
    quickest, quickest_both = (min(map(times.get, stems)) for times in (forward_ms, both_ms))
    return [
        {
            "layer": name,
            "forward ms": forward_ms[name],
            "of the best stem": forward_ms[name] / quickest,
            "with gradient ms": both_ms[name],
            "of the best stem's": both_ms[name] / quickest_both,
            "temporary MB": memory.get(name),
        }
        for name in sorted(forward, key=lambda name: name not in stems)
    ]


def _torch_stem(
    images: jax.Array, kernel: jax.Array, cotangent: jax.Array
) -> tuple[Callable[[], object], Callable[[], object]]:
    """Returns PyTorch's convolution with the same kernel, channels last: forward, and gradient."""
    import torch

    device = "cpu" if jax.default_backend() == "cpu" else "cuda"
    last = torch.channels_last
    given, outer = (
        torch.from_numpy(np.array(array)).permute(0, 3, 1, 2).to(device, memory_format=last)
        for array in (images, cotangent)
    )
    weight = torch.from_numpy(np.array(kernel)).permute(3, 2, 0, 1)
    weight = weight.to(device, memory_format=last).requires_grad_()

    def forward() -> None:
        with torch.inference_mode():
            torch.nn.functional.conv2d(given, weight, stride=STRIDES, padding=1)
            _ = device == "cpu" or torch.cuda.synchronize()

    def both() -> None:
        out = torch.nn.functional.conv2d(given, weight, stride=STRIDES, padding=1)
        torch.autograd.grad(out, weight, outer)
        _ = device == "cpu" or torch.cuda.synchronize()

    return forward, both


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
