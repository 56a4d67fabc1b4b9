"""Accuracy against what it costs."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from stochconv_jax.evaluation.plots import COLOURS, MARKERS, mark_logarithms

COSTS = {
    "MFLOPs an image": "MFLOPs to classify an image",
    "step MB": "memory of a training step, MB",
}
CHANCE = 10


def plot_accuracy(rows: Sequence[Mapping[str, Any]], setting: str) -> Figure:
    """Draws each method's accuracy with its 95% interval by its operations and by its memory.

    Args:
      rows: of the benchmark's table.
      setting: a title.
    """
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (cost, label) in zip(panels, COSTS.items(), strict=True):
        for place, row in enumerate(rows):
            accuracy = row["accuracy %"]
            below, above = accuracy - row["from %"], row["to %"] - accuracy
            axes.errorbar(
                row[cost],
                accuracy,
                [[below], [above]],
                fmt=MARKERS[place % len(MARKERS)],
                c=COLOURS[place % len(COLOURS)],
                ms=8,
                capsize=3,
                label=row["method"],
            )
        axes.axhline(CHANCE, c="grey", ls=":", label="guessing")
        mark_logarithms(axes)
        axes.set(xlabel=label, ylim=(0, 100))
        axes.grid(alpha=0.3)
    panels[0].set(ylabel="test accuracy, %")
    figure.suptitle(setting, fontsize="medium")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize="small")
    return figure
