"""A page of predicted photographs."""

import json

from stochconv_jax.evaluation.page import render_page, thumbnail
from stochconv_jax.prediction.predictor import PhotographPrediction, Predictor
from stochconv_jax.runs.provenance import provenance

THUMBNAIL = 160
# A page with more is slow to open; the table holds them all.
MOST = 500


class PredictionPage:
    """Collects predictions, thumbnails of the first of them, and becomes one HTML page."""

    def __init__(self, predictor: Predictor):
        self.predictor = predictor
        self.shown: list[dict] = []
        self.failed: list[PhotographPrediction] = []
        self.count = 0

    def add(self, found: PhotographPrediction) -> None:
        """Adds a photograph."""
        self.count += 1
        if found.problem:
            self.failed.append(found)
        elif len(self.shown) < MOST:
            jpeg = found.photograph.jpeg if found.photograph else b""
            bars = zip(self.predictor.classes, found.probabilities.tolist(), strict=True)
            self.shown.append(
                {
                    "name": found.name,
                    "decision": found.decision,
                    "spread": found.spread,
                    "bars": list(bars),
                    "picture": thumbnail(jpeg, THUMBNAIL) if jpeg else "",
                }
            )

    def render(self) -> str:
        """Returns the page, nothing of it fetched from elsewhere."""
        network = self.predictor.network
        return render_page(
            "stochconv_jax.prediction",
            "predictions.html.jinja",
            {},
            run=network.run.directory.resolve().name,
            predictor=self.predictor,
            checkpoint=network.run.config.eval.checkpoint,
            draws=network.run.config.eval.samples if network.run.sees_high else 1,
            shown=self.shown,
            failed=self.failed,
            count=self.count,
            provenance=json.dumps(provenance() | {"data": dict(network.run.data)}, indent=2),
        )
