"""The stochastic convolution beside a standard stem: python -m benchmarks.stochastic_conv."""

import argparse
import functools
import pathlib
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.measure import RESULTS, milliseconds, report
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
        "standard stem, float32": (small, standard_stem),
        "standard stem, patch_conv": (small, functools.partial(patch_conv, strides=STRIDES)),
        "stochastic, one window per image and kernel": (
            planes,
            lambda x, k: stochastic_conv_polyphase(x, k, windows(), *geometry),
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
        rows.append(
            {"layer": name, "forward ms": time, "forward ratio": time / rows[0]["forward ms"]}
        )
    setting = (
        f"batch {batch}, {side}x{side} uint8 (standard: {2 * output}x{2 * output} float32), "
        f"32 kernels of 3x3, stride 2, to {output}x{output}, NHWC; gradient in the kernel"
    )
    report("stochastic_conv", setting, rows, options.results)


def _rows(
    layers: dict[str, tuple[jax.Array, Layer]],
    kernel: jax.Array,
    cotangent: jax.Array,
    repeats: int,
) -> list[dict]:
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
    forward_ms, both_ms = milliseconds(forward, repeats), milliseconds(both, repeats)
    first = next(iter(layers))
    return [
        {
            "layer": name,
            "forward ms": forward_ms[name],
            "forward ratio": forward_ms[name] / forward_ms[first],
            "with gradient ms": both_ms[name],
            "with gradient ratio": both_ms[name] / both_ms[first],
            "temporary MB": memory[name],
        }
        for name in layers
    ]


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
