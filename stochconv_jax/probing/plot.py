"""The picture: ROC AUC against the pixels that a network sees."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from stochconv_jax.evaluation.plots import style
from stochconv_jax.probing.inputs import PARTS, SHRUNK_BY, WINDOWS, Input
from stochconv_jax.probing.measurement import Measurement

MARKERS = ("o", "s", "D")
# Curves have points of equally many pixels, whose bars would hide each other.
SHIFTS = (0.95, 1.0, 1.05)


def plot_probe(found: Measurement) -> Figure:
    """Draws the curves of the whole image, of windows, and of both together."""
    curves = {
        "whole image, by its size": [Input("whole", factor, 0) for factor in SHRUNK_BY],
        "windows at full detail, by their number": [
            Input("windows", None, count) for count in WINDOWS
        ],
        f"both: windows, and the image shrunk by {PARTS}": [
            Input("both", PARTS, count) for count in WINDOWS
        ],
    }
    figure = Figure(figsize=(7.8, 4.7), layout="constrained")
    axes = figure.subplots()
    for number, (label, inputs) in enumerate(curves.items()):
        values = np.array([found.estimates[each].value for each in inputs])
        low, high = np.array([found.interval(each) for each in inputs]).T
        errors = np.maximum([values - low, high - values], 0)
        pixels = np.array([each.pixels(found.size) for each in inputs]) * SHIFTS[number]
        look = {"fmt": MARKERS[number], "capsize": 3, "ms": 6, **style(number)}
        axes.errorbar(pixels, values, errors, label=label, **look)
    _scale(axes, found)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    return figure


def _scale(axes: Axes, found: Measurement) -> None:
    height, width = found.size
    ticks = [Input("whole", factor, 0).pixels(found.size) for factor in SHRUNK_BY]
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    shares = ["full size", *(f"÷ {factor}" for factor in SHRUNK_BY[1:])]
    names = [f"{pixels:,}\n({share})" for pixels, share in zip(ticks, shares, strict=True)]
    axes.set_xticks(ticks, names)
    axes.grid(alpha=0.3)
    axes.set(
        xlabel="pixels kept (in brackets: what the whole image's sides are divided by)",
        ylabel="area under the ROC curve",
        title=f"What frozen features tell of images of {height}x{width} (bars: 95% intervals)",
    )
