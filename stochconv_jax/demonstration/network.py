"""A trained network that answers one image at a time, with its doubt and its reasons."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from stochconv_jax.data.pipeline.batches import decode
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.deferral import doubts
from stochconv_jax.evaluation.page import as_png
from stochconv_jax.evaluation.run_doubts import doubt_limit
from stochconv_jax.explanations.explainer import (
    Explainer,
    chosen_methods,
    possible_methods,
)
from stochconv_jax.explanations.page import seen_image
from stochconv_jax.explanations.picture import draw_maps
from stochconv_jax.inference.probabilities import class_probabilities
from stochconv_jax.inference.trained_network import TrainedNetwork
from stochconv_jax.prediction.predictor import PhotographPrediction, Predictor, load_run
from stochconv_jax.prediction.table import Row
from stochconv_jax.runs.run import Run
from stochconv_jax.runs.training_images import describe_training

# Seconds rather than minutes on a CPU, and one of each kind; the others are there to be asked for.
QUICK_METHODS = ("grad_cam", "integrated_gradients", "window_map")
MOST_DRAWS = 4


class Answer(NamedTuple):
    """What a network says of an upload; it lives in memory alone.

    Attributes:
      network: its name.
      name: of the file.
      content: of the file, as it was uploaded.
      found: the prediction.
      spread: float64 [classes], the standard deviation of each probability over the draws.
      doubtful: whether a person should look; None where that cannot be told.
    """

    network: str
    name: str
    content: bytes
    found: PhotographPrediction
    spread: np.ndarray
    doubtful: bool | None


@dataclasses.dataclass(frozen=True)
class DemoNetwork:
    """A network on the page.

    Attributes:
      name: of the run's directory.
      predictor: for one image at a time.
      explainer: likewise, by few draws of windows.
      share: of the validation images that the rule leaves to a person.
      limit: the doubt from which it does; None where there is no validation image to tell by.
    """

    name: str
    predictor: Predictor
    explainer: Explainer
    share: float
    limit: float | None

    @classmethod
    def load(
        cls, workdir: str | pathlib.Path, share: float, methods: Sequence[str] = ()
    ) -> "DemoNetwork":
        """Loads a trained run.

        Args:
          workdir: directory of the run.
          share: of the validation images that the rule leaves to a person.
          methods: of explanation; quick ones where there are none.

        Raises:
          InputError: there is no trained run, it reads no pixels, or a method cannot be had.
        """
        run = Run.open(workdir)
        quick = [name for name in QUICK_METHODS if name in possible_methods(run)]
        chosen = chosen_methods(run, methods or quick)
        whole = load_run(workdir)  # which chooses the threshold in batches, where it has to
        try:
            limit = doubt_limit(whole.network, whole.threshold, share)
        except InputError:
            limit = None  # a run that was handed on without its images, which the page says
        single = _with(whole.network, batch_size=1)
        few = _with(single, samples=min(MOST_DRAWS, run.config.eval.samples))
        explainer = Explainer(few, chosen, rows=1)
        predictor = dataclasses.replace(whole, network=single)
        return cls(run.directory.resolve().name, predictor, explainer, share, limit)

    @property
    def trained(self) -> str:
        """What the network was trained on, in a sentence."""
        return describe_training(self.predictor.network.run)

    def warm_up(self) -> None:
        """Asks once for everything, so that it is compiled before somebody waits for it."""
        height, width = self.run.framing.size
        noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        row = dict.fromkeys(self.columns, "") if self.columns else None
        (found,) = self.predictor.predict_each([noise], None if row is None else [row])
        self.draw_explanations(found)

    def answer(self, name: str, content: bytes, row: Row | None = None) -> Answer:
        """Predicts an image file.

        Args:
          name: of the file.
          content: of the file.
          row: of a network with a metadata branch, what is known of the image by column.

        Raises:
          InputError: it is no whole image, or a number of the row is none.
        """
        (found,) = self.predictor.predict_each([content], None if row is None else [row])
        if found.problem:
            raise InputError(f"the image cannot be read: {found.problem}")
        draws = class_probabilities(found.logits)
        doubt = doubts(draws[None], self.predictor.threshold)["confidence"][0]
        doubtful = None if self.limit is None else bool(doubt >= self.limit)
        return Answer(self.name, name, content, found, draws.std(axis=0), doubtful)

    def draw_explanations(self, found: PhotographPrediction) -> str:
        """Returns maps of the class that was decided for, side by side: a PNG in base64."""
        assert found.photograph is not None
        target = self.classes.index(found.decision)
        (maps,) = self.explainer.explain([found.photograph], [target])
        image = decode(found.photograph.jpeg)
        return as_png(draw_maps(seen_image(image, self.run.config.data.crop_size), maps))

    def describe(self, answer: Answer) -> dict[str, Any]:
        """Returns an answer for programs, as JSON knows it."""
        return {
            "network": self.name,
            "step": self.predictor.network.step,
            "draws": len(answer.found.logits),
            "probabilities": self.probabilities(answer),
            "spread": dict(zip(self.classes, answer.spread.tolist(), strict=True)),
            "decision": answer.found.decision,
            "threshold": self.predictor.threshold if len(self.classes) == 2 else None,
            "decided_by": self.predictor.threshold_note,
            "doubtful": answer.doubtful,
            "note": "This is no medical device.",
        }

    def probabilities(self, answer: Answer) -> dict[str, float]:
        """Returns the probability of each class by name."""
        return dict(zip(self.classes, answer.found.probabilities.tolist(), strict=True))

    @property
    def run(self) -> Run:
        """The run, predicting one image at a time."""
        return self.predictor.network.run

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; of two, the second is the positive one."""
        return self.predictor.classes

    @property
    def columns(self) -> tuple[str, ...]:
        """What the network is told of an image beside its pixels."""
        return self.run.metadata.columns if self.run.metadata else ()


def _with(network: TrainedNetwork, **fields: Any) -> TrainedNetwork:
    """Returns the network with fields of `eval` changed."""
    config = network.run.config.copy_and_resolve_references().unlock()
    config.eval.update(fields)
    run = dataclasses.replace(network.run, config=config.lock())
    return dataclasses.replace(network, run=run)
