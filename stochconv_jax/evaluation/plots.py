"""The pictures of a report."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from scipy import stats
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from stochconv_jax.evaluation.deferral import risk_coverage
from stochconv_jax.evaluation.metrics import calibration_bins

# Okabe and Ito's colours, which stay apart for colour-blind readers; dashes tell them apart too.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "#8C8C8C")
DASHES = ("-", "--", "-.", ":")
# Curves beyond these are not told apart, nor names and numbers in a table beyond those.
MOST_CURVES, MOST_NAMED = 10, 20
MARKERS = "oDs^vPX<>*"


def style(number: int) -> dict[str, Any]:
    """Returns the colour and dashes of the curve of this number."""
    return {"color": COLOURS[number % len(COLOURS)], "ls": DASHES[number % len(DASHES)]}


def mark_logarithms(axes: Axes) -> None:
    """Makes the horizontal axis logarithmic, with plain numbers at 1, 2 and 5 of each decade."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def plot_curves(labels: np.ndarray, scores: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draws ROC, precision-recall and the probabilities by class, [N] and [N, classes]."""
    figure = Figure(figsize=(13.5, 4.2), layout="constrained")
    roc, precision, probabilities = figure.subplots(1, 3)
    shown, what = _shown_classes(labels, scores)
    roc.plot([0, 1], [0, 1], ":", c="grey", label="guessing")
    for number in shown:
        hit = labels == number
        false, true, _ = roc_curve(hit, scores[:, number])
        roc.plot(false, true, label=classes[number], **style(number))
        found, recall, _ = precision_recall_curve(hit, scores[:, number])
        precision.plot(
            recall, found, label=f"{classes[number]} ({hit.mean():.1%})", **style(number)
        )
    roc.set(xlabel="false positive rate", ylabel="true positive rate", title=f"ROC curve{what}")
    roc.set_aspect("equal")
    roc.legend(loc="lower right")
    precision.set(xlabel="recall", ylabel="precision", title="Precision and recall", ylim=(0, 1.02))
    if shown:
        precision.legend(title="class (its share)")
    told = range(len(classes)) if len(classes) <= MOST_CURVES else shown
    _plot_probabilities(probabilities, labels, scores, classes, told)
    return figure


def _shown_classes(labels: np.ndarray, scores: np.ndarray) -> tuple[list[int], str]:
    """Returns the classes whose curves are drawn, and what they are where they are not all."""
    classes = scores.shape[1]
    shown = [
        number
        for number in range(1 if classes == 2 else 0, classes)
        if 0 < (labels == number).sum() < len(labels)
    ]
    if len(shown) <= MOST_CURVES:
        return shown, ""
    areas = {number: roc_auc_score(labels == number, scores[:, number]) for number in shown}
    hardest = sorted(sorted(shown, key=areas.__getitem__)[:MOST_CURVES])
    return hardest, f", the {MOST_CURVES} hardest classes"


def plot_reliability(labels: np.ndarray, scores: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draws predicted probability against the share of hits, and how many images are where."""
    figure = Figure(figsize=(5, 4.8), layout="constrained")
    axes, counts = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    images, probability, hits = calibration_bins(labels, scores)
    filled = images > 0
    axes.plot([0, 1], [0, 1], ":", c="grey", label="perfect")
    limits = [
        stats.binomtest(round(share * count), int(count)).proportion_ci(method="wilson")
        for share, count in zip(hits[filled], images[filled], strict=True)
    ]
    errors = np.abs(np.array([(limit.low, limit.high) for limit in limits]).T - hits[filled])
    label = "this network, with Wilson's 95% intervals"
    axes.errorbar(
        probability[filled], hits[filled], errors, fmt="o-", c=COLOURS[0], capsize=2, label=label
    )
    of = f"images that are {classes[1]}" if len(classes) == 2 else "right answers"
    axes.set(ylabel=f"share of {of}", title="Reliability")
    axes.legend()
    edges = np.linspace(0, 1, len(images) + 1)
    counts.bar(edges[:-1], images, np.diff(edges), align="edge", color=COLOURS[0])
    of = classes[1] if len(classes) == 2 else "the answer"
    counts.set(xlabel=f"predicted probability of {of}", ylabel="images")
    return figure


def plot_risk(doubt: dict[str, np.ndarray], wrong: np.ndarray) -> Figure:
    """Draws the errors among the images kept when the most doubtful are left to a person."""
    figure = Figure(figsize=(5, 4.2), layout="constrained")
    axes = figure.subplots()
    for number, (name, values) in enumerate(doubt.items()):
        coverage, risk = risk_coverage(values, wrong)
        axes.plot(coverage, risk, label=f"by {name}", **style(number))
    axes.axhline(wrong.mean(), ls=":", c="grey", label="in any order")
    axes.set(xlabel="share of images kept", ylabel="share of them wrong", title="Risk and coverage")
    axes.set(xlim=(0, 1), ylim=(0, None))
    axes.legend()
    return figure


def plot_draws(rows: list[dict[str, Any]]) -> Figure:
    """Draws ROC AUC, Brier score and calibration error against the number of draws averaged."""
    figure = Figure(figsize=(13.5, 3.6), layout="constrained")
    names = {
        "roc_auc": "area under the ROC curve",
        "brier_score": "Brier score",
        "calibration_error": "calibration error",
    }
    counts = [row["draws"] for row in rows]
    for axes, (name, title) in zip(figure.subplots(1, 3), names.items(), strict=True):
        values = np.array([row[name] for row in rows])
        low, high = np.array([row[f"{name}_interval"] for row in rows]).T
        # A percentile interval need not hold the estimate.
        errors = np.maximum([values - low, high - values], 0)
        axes.errorbar(counts, values, errors, fmt="o-", c=COLOURS[0], capsize=3)
        axes.set(xscale="log", xlabel="draws averaged", ylabel=title)
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.suptitle("What averaging buys (bars: 95% intervals over images)")
    return figure


def plot_confusion(confusion: list[list[int]], classes: Sequence[str]) -> Figure:
    """Draws who was taken for what, as shares of each true class."""
    counts = np.array(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    readable = len(classes) <= MOST_NAMED
    side = max(3.6, 1.2 + 0.62 * min(len(classes), MOST_NAMED))
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape) if readable else ():
        shade = "white" if shares[row, column] < 0.55 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", c=shade)
    places = range(0, len(classes), 1 if readable else 5)
    names = [classes[place] for place in places]
    axes.set_xticks(places, names, rotation=45 if len(classes) > 2 else 0)
    axes.set_yticks(places, names)
    axes.set(xlabel="decision", ylabel="true class", title="Confusion (images)")
    figure.colorbar(picture, label="share of the true class", shrink=0.8)
    return figure


def _plot_probabilities(
    axes: Axes,
    labels: np.ndarray,
    scores: np.ndarray,
    classes: Sequence[str],
    shown: Iterable[int],
) -> None:
    binary = len(classes) == 2
    bins = list(np.linspace(0, 1, 21))
    for number in shown:
        name = classes[number]
        values = scores[labels == number, 1 if binary else number]
        axes.hist(values, bins, histtype="step", lw=2, label=f"true {name}", **style(number))
    of = classes[1] if binary else "the true class"
    axes.set(xlabel=f"predicted probability of {of}", ylabel="images", title="Probabilities")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
