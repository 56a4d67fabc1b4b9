"""Dense and grouped convolutions of ResNet and ResNeSt: python -m benchmarks.dense_conv."""

import argparse
import functools
import importlib.util
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.measure import RESULTS, milliseconds, report
from stochconv_jax.huge_pages import restart_with_huge_pages
from stochconv_jax.ops import grouped_conv, patch_conv


class Layer(NamedTuple):
    """A convolution with symmetric padding, of a square image of `side`."""

    side: int
    channels: int
    features: int
    kernel_size: int
    stride: int
    groups: int = 1


LAYERS = (
    Layer(224, 3, 64, 7, 2),
    Layer(56, 64, 64, 3, 1),
    Layer(28, 128, 128, 3, 1),
    Layer(14, 256, 256, 3, 1),
    Layer(7, 512, 512, 3, 1),
    Layer(56, 64, 128, 3, 2),
    Layer(112, 32, 32, 3, 1),
    Layer(56, 64, 128, 3, 1, groups=2),
    Layer(28, 128, 256, 3, 1, groups=2),
    Layer(14, 256, 512, 3, 1, groups=2),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints and keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--divide-sides", type=int, default=1, help="of all images, for a trial")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    options = parser.parse_args(arguments)
    rows = []
    for layer in LAYERS:
        forms = _forms(layer._replace(side=layer.side // options.divide_sides), options.batch)
        times = milliseconds(forms, options.repeats)
        of = f", {layer.groups} groups" if layer.groups > 1 else ""
        rows.append(
            {
                "layer": f"{layer.side}x{layer.side}x{layer.channels} to {layer.features}, "
                f"{layer.kernel_size}x{layer.kernel_size}, stride {layer.stride}{of}"
            }
            | {
                f"{form} {what} ms": times.get(f"{form} {what}")
                for what in ("forward", "gradients")
                for form in ("XLA", "ours", "PyTorch")
            }
        )
    setting = f"batch {options.batch}, float32; gradients in both"
    report("dense_conv", setting, rows, options.results)


def _forms(layer: Layer, batch: int) -> dict[str, Callable[[], Any]]:
    rng = np.random.default_rng(0)
    image = (batch, layer.side, layer.side, layer.channels)
    size = layer.kernel_size
    x = rng.normal(size=image).astype(np.float32)
    kernel = rng.normal(size=(size, size, layer.channels // layer.groups, layer.features))
    kernel = kernel.astype(np.float32)
    strides = (layer.stride, layer.stride)
    ours = functools.partial(grouped_conv, groups=layer.groups)
    methods: dict[str, Callable[..., jax.Array]] = {
        "XLA": functools.partial(ours, method="grouped"),
        "ours": functools.partial(ours, method="split"),
    }
    if layer.channels == 3:
        methods = {
            name: functools.partial(patch_conv, method=method)
            for name, method in {"XLA": "conv", "ours": "patches"}.items()
        }
    forms: dict[str, Callable[[], Any]] = {}
    for name, method in methods.items():
        conv = functools.partial(method, strides=strides, padding="SYMMETRIC")

        def with_gradients(x: jax.Array, kernel: jax.Array, conv: Callable = conv) -> tuple:
            out, pull_back = jax.vjp(conv, x, kernel)
            return out, pull_back(jnp.ones_like(out))

        arrays = (jnp.asarray(x), jnp.asarray(kernel))
        forms[f"{name} forward"] = functools.partial(jax.jit(conv), *arrays)
        forms[f"{name} gradients"] = functools.partial(jax.jit(with_gradients), *arrays)
    if importlib.util.find_spec("torch"):
        forms |= _torch_forms(layer, x, kernel)
    return forms


def _torch_forms(layer: Layer, x: np.ndarray, kernel: np.ndarray) -> dict[str, Callable[[], Any]]:
    """Returns PyTorch's convolution of the same arrays, channels last."""
    import torch

    def channels_last(array: np.ndarray) -> torch.Tensor:
        tensor = torch.tensor(array).contiguous(memory_format=torch.channels_last)
        return tensor.requires_grad_()

    images, kernels = (
        channels_last(x.transpose(0, 3, 1, 2)),
        channels_last(kernel.transpose(3, 2, 0, 1)),
    )
    conv = functools.partial(
        torch.nn.functional.conv2d,
        images,
        kernels,
        stride=layer.stride,
        padding=(layer.kernel_size - 1) // 2,
        groups=layer.groups,
    )

    def forward() -> None:
        with torch.inference_mode():
            conv()

    def gradients() -> None:
        torch.autograd.grad(conv().sum(), (images, kernels))

    return {"PyTorch forward": forward, "PyTorch gradients": gradients}


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
