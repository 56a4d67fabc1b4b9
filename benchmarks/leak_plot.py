"""The picture of `benchmarks/leak.py`: copies beside other rows, and both protocols."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stochconv_jax.evaluation.plots import COLOURS

Look = dict[str, Any]
RECALLS: dict[str, Look] = {
    "copy": {"marker": "o", "color": COLOURS[1], "label": "copies of training images"},
    "other": {"marker": "s", "color": COLOURS[0], "label": "other rows"},
}
PROTOCOLS: dict[str, Look] = {
    "published": {"marker": "D", "color": COLOURS[4], "label": "as published"},
    "lesions_first": {"marker": "^", "color": COLOURS[2], "label": "lesions first"},
}
MARGIN = 0.04  # of the axis, beyond 0 and 1


def plot_leak(leak: Mapping[str, Any]) -> Figure:
    """Draws what `leak.main` found, 95% intervals over images.

    A panel for each model whose rows were copied, its recall by class, and one of the balanced
    accuracy of each network under both protocols.
    """
    recalls = sorted(leak["recalls"].items())
    widths = [1.0] * len(recalls) + [0.8]
    figure = Figure(figsize=(5 * sum(widths), 4.8), layout="constrained")
    *panels, last = figure.subplots(1, len(widths), width_ratios=widths)
    for axes, (model, classes) in zip(panels, recalls, strict=True):
        _plot_recalls(axes, classes)
        axes.set(title=f"{model}, by class", xlabel="recall of validation rows")
    _plot_protocols(last, leak["models"])
    last.set(title="both protocols", xlabel="balanced accuracy")
    handles = {}
    for axes in (*panels, last):
        axes.set_xlim(-MARGIN, 1 + MARGIN)
        axes.grid(axis="x", alpha=0.3)
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    legend = handles.values(), handles.keys()
    figure.legend(*legend, loc="outside lower center", ncols=4)
    return figure


def _plot_recalls(axes: Axes, classes: Mapping[str, Any]) -> None:
    """A row for each class, named with how many of its rows are copies and how many are not."""
    names = []
    compared = sum("difference" in found for found in classes.values()) - ("mean" in classes)
    for place, (name, found) in enumerate(classes.items()):
        for (kind, look), shift in zip(RECALLS.items(), (-0.13, 0.13), strict=True):
            if found[kind] is not None:
                _point(axes, found[kind], found["intervals"].get(kind), place + shift, look)
        rows = found.get("rows")
        told = (
            f"{rows['copy']} copies, {rows['other']} others" if rows else f"of {compared} classes"
        )
        names.append(f"{name}\n{told}")
    _name_rows(axes, names)


def _plot_protocols(axes: Axes, models: Mapping[str, Any]) -> None:
    """A row for each network; models are called NETWORK_PROTOCOL."""
    networks = sorted(
        {_network(name, protocol) for protocol in PROTOCOLS for name in models} - {""}
    )
    for protocol, look in PROTOCOLS.items():
        for place, network in enumerate(networks):
            if f"{network}_{protocol}" in models:
                found = models[f"{network}_{protocol}"]["balanced_accuracy"]
                _point(axes, found["mean"], found["interval"], place, look)
    _name_rows(axes, [network.replace("_", "\n", 1) for network in networks])


def _network(model: str, protocol: str) -> str:
    """The network of a model of this protocol; "" of another one."""
    return model.removesuffix(f"_{protocol}") if model.endswith(f"_{protocol}") else ""


def _point(axes: Axes, value: float, interval: Any, height: float, look: Look) -> None:
    """A value with its interval, where there is one; one label for all of its look."""
    errors = None if interval is None else [[value - interval[0]], [interval[1] - value]]
    known = look["label"] in axes.get_legend_handles_labels()[1]
    shown = look | {"label": None} if known else look
    axes.errorbar(value, height, xerr=errors, ls="", ms=7, capsize=3, **shown)


def _name_rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
