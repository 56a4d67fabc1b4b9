"""One self-contained HTML page about an evaluation."""

import json
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from stochconv_jax.data.dataset.image_dataset import ImageDataset
from stochconv_jax.evaluation import plots
from stochconv_jax.evaluation.deferral import decide, doubts
from stochconv_jax.evaluation.page import as_png, render_page, thumbnail
from stochconv_jax.evaluation.subgroups import LEAST_IMAGES
from stochconv_jax.inference.predict import Predictions
from stochconv_jax.models.branch import METADATA

ERRORS = 12
THUMBNAIL = 160

EXPLANATIONS = {
    "images": "images counted, each once",
    "groups": "lesions, patients or other groups, each of which the intervals keep together",
    "draws": "draws of windows averaged per image",
    "roc_auc": "area under the ROC curve of the averaged probability: 0.5 is guessing, 1 perfect",
    "roc_auc_of_one_draw": "the same of single draws, their mean",
    "log_loss": "cross-entropy in nats; lower is better",
    "brier_score": "mean squared error of the probability; lower is better",
    "calibration_error": "mean gap between probability and frequency; lower is better",
    "balanced_accuracy": "mean over classes of the share decided right",
    "accuracy": "share decided right, in which frequent classes weigh more",
    "quadratic_weighted_kappa": "agreement of grades, far errors weighing more; 1 is perfect",
    "average_precision": "area under the precision-recall curve",
    "partial_auc_above_80_sensitivity": "area of the ROC curve above 80% sensitivity; at most 0.2",
    "sensitivity_at_95_specificity": "read off this curve; see the thresholds for what to expect",
    "specificity_at_95_sensitivity": "read off this curve as well",
    "area_under_risk_by_confidence": "mean error over all shares kept, surest first; 0 is best",
    "area_under_risk_by_spread": "the same, surest meaning least spread over the draws",
    "decision_threshold": "from this probability on, an image is called positive",
}


def write_report(
    run: str,
    config: ConfigDict,
    metrics: dict[str, Any],
    predictions: Predictions,
    dataset: ImageDataset,
    images: str,
) -> str:
    """Returns the page: metrics, plots, errors and provenance, with nothing fetched from elsewhere.

    Args:
      run: its name.
      config: of the run.
      metrics: as `summarize` returns them, with the split, checkpoint, data and provenance.
      predictions: what they were computed from.
      dataset: the images, for thumbnails of errors.
      images: where they come from.
    """
    rows = [
        (name, metrics[name], metrics["intervals"].get(name), explanation)
        for name, explanation in EXPLANATIONS.items()
        if name in metrics
    ]
    return render_page(
        "stochconv_jax.evaluation",
        "report.html.jinja",
        {"number": number_text, "interval": interval_text},
        run=run,
        where=_where(metrics["split"]),
        network=_network(config),
        images=images,
        least_images=LEAST_IMAGES,
        rows=rows,
        metrics=metrics,
        pictures=_pictures(metrics, predictions, dataset.classes),
        errors=_errors(metrics, predictions, dataset),
        config=json.dumps(config.to_dict(), indent=2),
        provenance=json.dumps(metrics["provenance"] | {"data": metrics["data"]}, indent=2),
        classes=dataset.classes,
    )


def number_text(value: float) -> str:
    """Writes a number with four decimals, a whole one without, a dash for NaN."""
    if isinstance(value, float):
        return f"{value:.4f}" if np.isfinite(value) else "-"
    return str(value)


def interval_text(limits: tuple[float, float] | None) -> str:
    """Writes an interval with four decimals, nothing for none."""
    return f"{limits[0]:.4f} to {limits[1]:.4f}" if limits and np.isfinite(limits[0]) else ""


def _network(config: ConfigDict) -> str:
    branches = f"branches {', '.join(config.model.branches)}"
    alone = set(config.model.branches) == {METADATA}
    return branches if alone else f"{config.model.backbone}, {branches}"


def _where(split: str) -> str:
    return "images it was not made with" if split == "external" else f"the {split} split"


def _pictures(
    metrics: dict[str, Any], predictions: Predictions, classes: tuple[str, ...]
) -> dict[str, str]:
    labels = predictions.labels
    probabilities = predictions.probabilities
    scores = probabilities.mean(axis=1)
    threshold = metrics.get("decision_threshold", 0.5)
    wrong = decide(scores, threshold) != labels
    figures = {
        "curves": plots.plot_curves(labels, scores, classes),
        "reliability": plots.plot_reliability(labels, scores, classes),
        "risk": plots.plot_risk(doubts(probabilities, threshold), wrong),
        "confusion": plots.plot_confusion(metrics["confusion"], classes),
    }
    if len(metrics.get("draw_curve", ())) > 1:
        figures["draws"] = plots.plot_draws(metrics["draw_curve"])
    return {name: as_png(figure) for name, figure in figures.items()}


def _errors(
    metrics: dict[str, Any], predictions: Predictions, dataset: ImageDataset
) -> list[dict[str, str]]:
    """The errors of which the network was most certain."""
    probabilities = predictions.probabilities
    scores = probabilities.mean(axis=1)
    threshold = metrics.get("decision_threshold", 0.5)
    decisions = decide(scores, threshold)
    doubt = doubts(probabilities, threshold)["confidence"]
    wrong = np.flatnonzero(decisions != predictions.labels)
    errors = []
    for row in wrong[np.argsort(doubt[wrong], kind="stable")][:ERRORS]:
        index = int(predictions.indices[row])
        example = dataset.examples[index]
        shown = 1 if len(dataset.classes) == 2 else decisions[row]
        errors.append(
            {
                "id": example.id,
                "label": example.label,
                "decision": dataset.classes[decisions[row]],
                "probability": f"probability of {dataset.classes[shown]} {scores[row, shown]:.3f}",
                "picture": _picture(dataset, index),
            }
        )
    return errors


def _picture(dataset: ImageDataset, index: int) -> str:
    """Returns a thumbnail; "" of a row of a table without images."""
    if not len(dataset.records):
        return ""
    return thumbnail(dataset.records[index]["image"], THUMBNAIL)
