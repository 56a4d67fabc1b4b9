"""The pictures of a comparison."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stochconv_jax.evaluation.plots import COLOURS, MARKERS, mark_logarithms, style
from stochconv_jax.evidence.runs import RunRecord

COLUMNS = 4
SPLITS = ("train", "val")
TITLES = {
    "roc_auc": "area under the ROC curve",
    "roc_auc_within_folds": "ROC AUC within folds, their mean",
    "balanced_accuracy": "balanced accuracy",
    "quadratic_weighted_kappa": "quadratic weighted kappa",
    "best_epoch_auc": "validation ROC AUC of the best epoch",
}


def title(metric: str) -> str:
    """Returns what a metric is called on an axis."""
    return TITLES.get(metric, metric.replace("roc_auc_of_", "ROC AUC of "))


def plot_values(models: Mapping[str, Any], metric: str) -> Figure:
    """Draws each model's metric: a dot per seed, the mean, and the mean's interval over images."""
    picture, axes = _rows(list(models))
    for place, row in enumerate(models.values()):
        found = row[metric]
        axes.plot(
            found["values"],
            np.full(len(found["values"]), place),
            "o",
            mfc="none",
            c=COLOURS[0],
            label="a run" if metric == "best_epoch_auc" else "a seed",
        )
        label = "mean"
        if "interval_over_images" in found:
            axes.plot(found["interval_over_images"], [place, place], c=COLOURS[0], lw=2)
            label = "mean, with 95% interval over images"
        axes.plot(found["mean"], place, "D", c=COLOURS[4], ms=7, label=label)
    axes.set(xlabel=title(metric))
    _legend(axes)
    return picture


def plot_differences(rows: Sequence[Mapping[str, Any]], metric: str, reference: str) -> Figure:
    """Draws each model's difference from the reference with its intervals over images and seeds."""
    picture, axes = _rows([row["model"] for row in rows])
    axes.axvline(0, c="grey", ls=":")
    for place, row in enumerate(rows):
        for kind, shift, colour in (("images", 0.13, COLOURS[0]), ("seeds", -0.13, COLOURS[1])):
            if f"interval_over_{kind}" in row:
                heights = [place + shift, place + shift]
                label = f"95% interval over {kind}"
                style = "-" if kind == "images" else "--"
                axes.plot(row[f"interval_over_{kind}"], heights, style, c=colour, lw=3, label=label)
        axes.plot(row["difference"], place, "D", c="black", ms=6, label="difference of means")
    axes.set(xlabel=f"{title(metric)}, difference from {reference}")
    _legend(axes)
    return picture


def plot_draws(models: Mapping[str, Any]) -> Figure | None:
    """Draws each model's ROC AUC by the number of draws averaged; None where no model has any."""
    drawn = {name: model["by_draws"] for name, model in models.items() if "by_draws" in model}
    if not drawn:
        return None
    picture, axes = _rows(list(drawn))
    counts = sorted({point["draws"] for points in drawn.values() for point in points})
    shades = colormaps["cividis_r"](np.linspace(0, 1, len(counts)))
    for place, points in enumerate(drawn.values()):
        for point in points:
            count = point["draws"]
            label = f"{count} draw{'s averaged' if count > 1 else ''}"
            colour = shades[counts.index(count)]
            axes.plot(point["roc_auc"], place, "o", ms=9, mec="black", mfc=colour, label=label)
    axes.set(xlabel="area under the ROC curve, mean over seeds")
    _legend(axes)
    return picture


def plot_costs(models: Mapping[str, Any]) -> Figure | None:
    """Draws ROC AUC against the operations of a prediction; None where these are not known.

    A network with windows is a line over its numbers of draws, another one a point.
    """
    picture = Figure(figsize=(9.5, 5.4), layout="constrained")
    axes = picture.subplots()
    for number, (name, model) in enumerate(models.items()):
        single = {
            "gigaflops": model.get("gigaflops"),
            "roc_auc": model["roc_auc"]["mean"],
            "interval_over_images": model["roc_auc"]["interval_over_images"],
        }
        points = model.get("by_draws", [single])
        if any(point.get("gigaflops") is None for point in points):
            return None
        x = np.array([point["gigaflops"] for point in points])
        y = np.array([point["roc_auc"] for point in points])
        limits = np.array([point["interval_over_images"] for point in points])
        marker = MARKERS[number % len(MARKERS)]
        draws = f", 1 to {points[-1]['draws']} draws" if len(points) > 1 else ""
        look = {"marker": marker, "label": f"{name}{draws}", **style(number)}
        axes.errorbar(x, y, np.abs(limits.T - y), ms=7, capsize=3, **look)
    mark_logarithms(axes)
    axes.set(xlabel="billions of operations per predicted image", ylabel=title("roc_auc"))
    axes.grid(alpha=0.3, which="both")
    _legend(axes)
    return picture


def plot_learning(runs: Sequence[RunRecord], reference: str, curve: str) -> Figure:
    """Draws each model's "auc" or "loss" over epochs: mean line, min-max band over its runs."""
    models: dict[str, list[RunRecord]] = {}
    for run in runs:
        models.setdefault(run.model, []).append(run)
    height = math.ceil(len(models) / COLUMNS)
    picture = Figure(figsize=(13.5, 2.9 * height + 0.6), layout="constrained")
    panels = picture.subplots(height, COLUMNS, sharey=True, squeeze=False).ravel()
    base = _stack(models[reference], f"val_{curve}").mean(axis=0)
    for axes, (name, own) in zip(panels, models.items(), strict=False):
        if name != reference:
            axes.plot(_epochs(base), base, ":", c="grey", label=f"{reference}, validation")
        for split, colour, dashes in zip(SPLITS, COLOURS[1::-1], ("-", "--"), strict=True):
            values = _stack(own, f"{split}_{curve}")
            label = "training" if split == "train" else "validation"
            line = values.mean(axis=0)
            axes.plot(_epochs(line), line, f"o{dashes}", ms=2.5, c=colour, label=label)
            band = (values.min(axis=0), values.max(axis=0))
            axes.fill_between(_epochs(values[0]), *band, color=colour, alpha=0.25, lw=0)
        axes.set_title(f"{name} ({len(own)} run{'s' if len(own) > 1 else ''})", fontsize=10)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
        axes.set_xlabel("epoch")
    # Training that has hardly begun may lie far from all that is to be seen.
    means = [
        _stack(own, f"{split}_{curve}").mean(axis=0) for own in models.values() for split in SPLITS
    ]
    low, high = (
        min(line.min() for line in means),
        max(line[len(line) // 4 :].max() for line in means),
    )
    if curve == "loss" and high > low:
        panels[0].set_ylim(low - 0.05 * (high - low), high + 0.2 * (high - low))
    for axes in panels[len(models) :]:
        axes.remove()
    for axes in panels[::COLUMNS][:height]:
        axes.set_ylabel("ROC AUC" if curve == "auc" else "cross-entropy (nats)")
    # The last panel's legend has all three lines; the first model is often the reference.
    handles, labels = panels[min(len(models), 2) - 1].get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside lower center", ncols=3)
    return picture


def _stack(runs: Sequence[RunRecord], curve: str) -> np.ndarray:
    """[runs, epochs], as many epochs as all of the runs have."""
    epochs = min(len(run.curve[curve]) for run in runs)
    return np.stack([run.curve[curve][:epochs] for run in runs])


def _epochs(values: np.ndarray) -> np.ndarray:
    return np.arange(1, len(values) + 1)


def _rows(names: Sequence[str]) -> tuple[Figure, Axes]:
    """Axes with a row per name, the first on top."""
    picture = Figure(figsize=(9.5, 1.6 + 0.36 * len(names)), layout="constrained")
    axes = picture.subplots()
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="x", alpha=0.3)
    return picture, axes


def _legend(axes: Axes) -> None:
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    axes.figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)
