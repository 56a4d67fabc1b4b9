"""A page of explained photographs."""

import json
from typing import Any

import numpy as np

from stochconv_jax.data.pipeline.batches import decode
from stochconv_jax.evaluation.page import as_png, render_page
from stochconv_jax.explanations.explainer import Explainer, Maps
from stochconv_jax.explanations.picture import TITLES, draw_maps
from stochconv_jax.prediction.predictor import PhotographPrediction
from stochconv_jax.runs.provenance import provenance
from stochconv_jax.runs.training_images import describe_training

MEANINGS = {
    "grad_cam": "which places of the global branch's last map, a coarse one, speak for the class.",
    "integrated_gradients": "which pixels of the small image move the score on the way from a "
    "blank image to this one.",
    "gradient_shap": "the same from several blank images, black to white.",
    "occlusion": "how much is lost when a square is hidden from every branch: slow, coarse and the "
    "reference for the others.",
    "window_map": "what the windows found at full detail, by how often they saw a place; what none "
    "saw is hatched. Beside it the share of all looks, kernels times draws, that saw each place.",
}


class ExplanationPage:
    """Collects explained photographs and becomes one HTML page."""

    def __init__(self, explainer: Explainer):
        self.explainer = explainer
        self.shown: list[dict[str, Any]] = []
        self.failed: list[PhotographPrediction] = []

    def add(self, found: PhotographPrediction, target: int, maps: Maps) -> None:
        """Adds a photograph with the maps of the class of index `target`."""
        assert found.photograph is not None
        classes = self.explainer.network.run.classes
        image = seen_image(decode(found.photograph.jpeg), self._crop_size)
        self.shown.append(
            {
                "name": found.name,
                "decision": found.decision,
                "spread": found.spread,
                "bars": list(zip(classes, found.probabilities.tolist(), strict=True)),
                "target": classes[target],
                "picture": as_png(draw_maps(image, maps)),
            }
        )

    def render(self) -> str:
        """Returns the page, nothing of it fetched from elsewhere."""
        run = self.explainer.network.run
        return render_page(
            "stochconv_jax.explanations",
            "explanations.html.jinja",
            {},
            run=run.directory.resolve().name,
            checkpoint=run.config.eval.checkpoint,
            trained=describe_training(run),
            draws=run.config.eval.samples if run.sees_high else 1,
            legend=[(TITLES[name], MEANINGS[name]) for name in self.explainer.methods],
            shown=self.shown,
            failed=self.failed,
            provenance=json.dumps(provenance() | {"data": dict(run.data)}, indent=2),
        )

    @property
    def _crop_size(self) -> tuple[int, int]:
        return self.explainer.network.run.config.data.crop_size


def seen_image(image: np.ndarray, crop_size: tuple[int, int]) -> np.ndarray:
    """Returns the middle of a framed image, which is what the network sees; whole for (0, 0)."""
    if not any(crop_size):
        return image
    top, left = (side - crop for side, crop in zip(image.shape[:2], crop_size, strict=True))
    return image[top // 2 :, left // 2 :][: crop_size[0], : crop_size[1]]
