"""One self-contained HTML page about an evaluation."""

import base64
import io
import json
from typing import Any

import jinja2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from ml_collections import ConfigDict
from sklearn.metrics import roc_curve

from stochconv_jax.evaluation.metrics import class_probabilities, roc_auc
from stochconv_jax.evaluation.predict import Predictions

# Okabe and Ito's colours, which stay apart for colour-blind readers; dashes tell them apart too.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":")

EXPLANATIONS = {
    "images": "images counted, each once",
    "samples": "draws of windows averaged an image",
    "roc_auc": "area under the ROC curve of the averaged probability: 0.5 is guessing, 1 perfect",
    "roc_auc_of_one_sample": "the same of single draws, their mean",
    "log_loss": "cross-entropy in nats; lower is better",
    "brier_score": "mean squared error of the probability; lower is better",
    "balanced_accuracy": "mean over classes of the share recognised by the most probable class",
    "average_precision": "area under the precision-recall curve",
    "split": "which images",
    "checkpoint": "which state of the run",
    "step": "training steps made",
}


def write_report(
    config: ConfigDict,
    metrics: dict[str, float | str],
    predictions: Predictions,
    classes: tuple[str, ...],
) -> str:
    """Returns the page: figures, plots and the config, nothing fetched from elsewhere."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("stochconv_jax.evaluation", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    rows = [
        (name, f"{value:.4f}" if isinstance(value, float) else value, EXPLANATIONS[name])
        for name, value in metrics.items()
    ]
    return environment.get_template("report.html.jinja").render(
        rows=rows,
        plot=_as_png(plot_predictions(predictions, classes)),
        config=json.dumps(config.to_dict(), indent=2),
        classes=classes,
    )


def plot_predictions(predictions: Predictions, classes: tuple[str, ...]) -> Figure:
    """Draws the ROC curve, the probabilities by class, and what averaging samples buys."""
    several = predictions.samples.shape[1] > 1
    figure = Figure(figsize=(13.5 if several else 9, 4), layout="constrained")
    axes = figure.subplots(1, 3 if several else 2)
    scores = class_probabilities(predictions.samples.mean(axis=1))
    _plot_roc(axes[0], predictions.labels, scores, classes)
    _plot_probabilities(axes[1], predictions.labels, scores, classes)
    if several:
        _plot_samples(axes[2], predictions)
    return figure


def _plot_roc(axes: Axes, labels: np.ndarray, scores: np.ndarray, classes: tuple[str, ...]) -> None:
    axes.plot([0, 1], [0, 1], ":", c="grey", label="guessing")
    for number in range(1 if len(classes) == 2 else 0, len(classes)):
        if 0 < (labels == number).sum() < len(labels):
            false, true, _ = roc_curve(labels == number, scores[:, number])
            axes.plot(false, true, label=classes[number], **_style(number))
    axes.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC curve")
    axes.set_aspect("equal")
    axes.legend(loc="lower right")


def _plot_probabilities(
    axes: Axes, labels: np.ndarray, scores: np.ndarray, classes: tuple[str, ...]
) -> None:
    binary = len(classes) == 2
    bins = list(np.linspace(0, 1, 21))
    for number, name in enumerate(classes):
        values = scores[labels == number, 1 if binary else number]
        axes.hist(values, bins, histtype="step", lw=2, label=f"true {name}", **_style(number))
    of = classes[1] if binary else "the true class"
    axes.set(xlabel=f"predicted probability of {of}", ylabel="images", title="Probabilities")
    axes.legend()


def _plot_samples(axes: Axes, predictions: Predictions) -> None:
    draws = predictions.samples.shape[1]
    counts = np.arange(1, draws + 1)
    # Each count averages over every run of neighbouring draws, so that no one draw decides.
    areas = [
        np.mean(
            [
                roc_auc(
                    predictions.labels,
                    np.roll(predictions.samples, -first, axis=1)[:, :count].mean(axis=1),
                )
                for first in range(draws if count < draws else 1)
            ]
        )
        for count in counts
    ]
    axes.plot(counts, areas, "o-", c=COLOURS[0])
    axes.set(xlabel="window samples averaged", ylabel="ROC AUC", title="What averaging buys")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)


def _style(number: int) -> dict[str, Any]:
    return {"color": COLOURS[number % len(COLOURS)], "ls": DASHES[number % len(DASHES)]}


def _as_png(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110, format="png")
    return base64.b64encode(buffer.getvalue()).decode()
