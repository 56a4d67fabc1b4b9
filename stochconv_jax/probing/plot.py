"""The picture: ROC AUC against the pixels that are kept."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from stochconv_jax.evaluation.plots import style
from stochconv_jax.probing.inputs import PARTS, SHRUNK_BY, WINDOWS, Input

CURVES = {
    "whole image": [Input("whole", factor, 0) for factor in SHRUNK_BY],
    "windows at full detail: 1, 4, 16": [Input("windows", None, count) for count in WINDOWS],
    f"both: image ÷ {PARTS} and windows": [Input("both", PARTS, count) for count in WINDOWS],
}
MARKERS = ("o", "s", "D")
# Curves have points of equally many pixels, whose bars would hide each other.
SHIFTS = (0.95, 1.0, 1.05)

Rows = Sequence[Mapping[str, Any]]


def plot_probe(rows: Rows, size: tuple[int, int]) -> Figure:
    """Draws the curves of the whole image, of windows, and of both together.

    Args:
      rows: as `Measurement.rows` returns them, or the `inputs` of probe.json.
      size: (height, width) of the images.
    """
    by_input = {Input(row["input"], row["shrunk_by"], row["windows"]): row for row in rows}
    figure = Figure(figsize=(7.8, 4.7), layout="constrained")
    axes = figure.subplots()
    for number, (label, inputs) in enumerate(CURVES.items()):
        own = [by_input[each] for each in inputs]
        values = np.array([row["roc_auc"] for row in own])
        low, high = np.array([row["interval"] for row in own]).T
        errors = np.maximum([values - low, high - values], 0)
        pixels = np.array([row["pixels"] for row in own]) * SHIFTS[number]
        look = {"fmt": MARKERS[number], "capsize": 3, "ms": 6, **style(number)}
        axes.errorbar(pixels, values, errors, label=label, **look)
    _describe(axes, size)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _describe(axes: Axes, size: tuple[int, int]) -> None:
    ticks = [Input("whole", factor, 0).pixels(size) for factor in SHRUNK_BY]
    shares = ["full size", *(f"÷ {factor}" for factor in SHRUNK_BY[1:])]
    names = [f"{pixels:,}\n({share})" for pixels, share in zip(ticks, shares, strict=True)]
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks, names)
    axes.grid(alpha=0.3)
    axes.set(
        xlabel="pixels kept (in brackets: what the whole image's sides are divided by)",
        ylabel="area under the ROC curve",
        title=f"What frozen features tell of images of {size[0]}x{size[1]} (bars: 95% intervals)",
    )
