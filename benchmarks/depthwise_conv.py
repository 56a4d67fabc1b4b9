"""The depthwise convolution's forms on B0's layers: python -m benchmarks.depthwise_conv."""

import argparse
import functools
import pathlib
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.measure import RESULTS, milliseconds, report
from stochconv_jax.huge_pages import restart_with_huge_pages
from stochconv_jax.models.efficientnet import STAGES
from stochconv_jax.ops import depthwise_conv

# What the columns are called, and `depthwise_conv`'s methods.
METHODS = {"grouped": "grouped", "shifted": "shifted", "C++": "auto"}


def layers(side: int) -> dict[tuple[int, int, int, int], int]:
    """Returns how often B0 has each layer: (side of the input, channels, kernel, stride)."""
    counts: dict[tuple[int, int, int, int], int] = {}
    features = 32
    for stage in STAGES:
        for repeat in range(stage.repeats):
            stride = stage.strides if repeat == 0 else 1
            shape = (side, features * stage.expand_ratio, stage.kernel_size, stride)
            counts[shape] = counts.get(shape, 0) + 1
            side, features = -(-side // stride), stage.features
    return counts


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints and keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=112, help="of the first layer's input")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    options = parser.parse_args(arguments)
    rows, totals = (
        [],
        dict.fromkeys((f"{m} {w}" for w in ("forward", "gradients") for m in METHODS), 0.0),
    )
    for (side, channels, size, stride), count in layers(options.side).items():
        forms = _forms(options.batch, side, channels, size, stride)
        times = milliseconds(forms, options.repeats)
        for name, time in times.items():
            totals[name] += count * time
        name = f"{side}x{side}x{channels}, {size}x{size}, stride {stride}"
        rows.append(_row(f"{name}, {count} of them" if count > 1 else name, times))
    rows.append(_row("all sixteen", totals))
    setting = f"EfficientNet-B0's layers, batch {options.batch}, float32; gradients in both"
    report("depthwise_conv", setting, rows, options.results)


def _forms(
    batch: int, side: int, channels: int, size: int, stride: int
) -> dict[str, Callable[[], jax.Array]]:
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(batch, side, side, channels)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(size, size, 1, channels)), jnp.float32)
    out = -(-side // stride)
    cotangent = jnp.asarray(rng.normal(size=(batch, out, out, channels)), jnp.float32)
    forms = {}
    for column, method in METHODS.items():
        conv = functools.partial(
            depthwise_conv, strides=(stride, stride), padding="SAME", method=method
        )

        def with_gradients(
            x: jax.Array, kernel: jax.Array, conv: Callable[..., jax.Array] = conv
        ) -> tuple:
            out, pull_back = jax.vjp(conv, x, kernel)
            return out, pull_back(cotangent)

        forms[f"{column} forward"] = functools.partial(jax.jit(conv), x, kernel)
        forms[f"{column} gradients"] = functools.partial(jax.jit(with_gradients), x, kernel)
    return forms


def _row(name: str, times: dict[str, float]) -> dict:
    row: dict[str, str | float] = {"layer": name}
    for what, words in (("forward", "forward"), ("gradients", "with gradients")):
        row |= {f"{column} {words} ms": times[f"{column} {what}"] for column in METHODS}
    return row | {"times faster": times["grouped gradients"] / times["C++ gradients"]}


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
