"""A trained run that says of any photograph which class it shows."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.deferral import decide
from stochconv_jax.evaluation.run_thresholds import run_thresholds
from stochconv_jax.evaluation.thresholds import DECIDING
from stochconv_jax.inference.photographs import (
    FramedPhotograph,
    Photograph,
    content_index,
    frame_photograph,
)
from stochconv_jax.inference.probabilities import class_probabilities
from stochconv_jax.inference.trained_network import TrainedNetwork
from stochconv_jax.prediction.table import Row, metadata_inputs
from stochconv_jax.runs.run import Run

# Photographs in memory at a time: framing is done by threads, ahead of the network.
THREADS = 4


class PhotographPrediction(NamedTuple):
    """What a network says of one photograph.

    Attributes:
      name: of the photograph.
      logits: float32 [K, outputs], of each of K draws of windows.
      probabilities: float64 [classes], the mean over the draws.
      spread: standard deviation over the draws of the probability that decides.
      decision: name of a class.
      problem: why there is no prediction, or "".
      photograph: as the network was given it; None where it could not be.
    """

    name: str
    logits: np.ndarray
    probabilities: np.ndarray
    spread: float
    decision: str
    problem: str = ""
    photograph: FramedPhotograph | None = None


class Predictions(NamedTuple):
    """What a network says of N photographs; the fields are those of `PhotographPrediction`."""

    names: tuple[str, ...]
    logits: np.ndarray
    probabilities: np.ndarray
    spread: np.ndarray
    decisions: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Predictor:
    """A network with its threshold.

    Attributes:
      network: restored from a run.
      threshold: of the probability of the second of two classes.
      threshold_note: where the threshold comes from.
    """

    network: TrainedNetwork
    threshold: float
    threshold_note: str

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; of two, the second is the positive one."""
        return self.network.run.classes

    def predict(
        self, images: Sequence[Photograph], metadata: Sequence[Row] | None = None
    ) -> Predictions:
        """Predicts photographs of any size, framed as the run's were.

        Args:
          images: paths, contents of files, arrays uint8 [H, W, 3] of RGB, or Pillow's images; of a
            network that reads no pixels, names.
          metadata: of a network with a metadata branch, what is known of each image by column, ""
            or None where nothing is.

        Raises:
          InputError: there is none, one cannot be read, a row or a column is missing or a number is
            none, or a prediction is not finite.
        """
        if not len(images):
            raise InputError("no image is given; name one or more")
        rows = list(self.predict_each(images, metadata))
        for row in rows:
            if row.problem:
                raise InputError(f"{row.name}: {row.problem}")
        return Predictions(
            tuple(row.name for row in rows),
            np.stack([row.logits for row in rows]),
            np.stack([row.probabilities for row in rows]),
            np.array([row.spread for row in rows]),
            tuple(row.decision for row in rows),
        )

    def predict_each(
        self, images: Sequence[Photograph], metadata: Sequence[Row | None] | None = None
    ) -> Iterator[PhotographPrediction]:
        """Yields a prediction for each photograph, in order; one that is broken says why.

        Args:
          images: as `predict` takes them.
          metadata: likewise; None for an image of which there is no row.

        Raises:
          InputError: a row or a column is missing, or a number is none.
        """
        inputs = metadata_inputs(
            self.network.run, [*map(_name, images, range(len(images)))], metadata
        )
        return self._predict_each(images, inputs)

    def _predict_each(
        self, images: Sequence[Photograph], inputs: Sequence[np.ndarray | None]
    ) -> Iterator[PhotographPrediction]:
        rows = self.network.rows
        with ThreadPoolExecutor(THREADS) as pool:
            for first in range(0, len(images), rows):
                names = [_name(image, first + n) for n, image in enumerate(images[first:][:rows])]
                own = inputs[first:][:rows]
                framed = list(pool.map(self._frame, images[first:][:rows], names, own))
                usable = [each for each in framed if isinstance(each, FramedPhotograph)]
                found = self.network.predict_photographs(usable)
                for name, each in zip(names, framed, strict=True):
                    if isinstance(each, FramedPhotograph):
                        yield self._describe(*next(found))
                    else:
                        yield _unusable(name, str(each))

    def _frame(
        self, image: Photograph, name: str, inputs: np.ndarray | None
    ) -> FramedPhotograph | InputError:
        if inputs is None:
            return InputError("the table has no row of it")
        if not self.network.run.sees_pixels:
            return FramedPhotograph(name, b"", content_index(name.encode()), inputs)
        try:
            framed = frame_photograph(image, self.network.run.framing, name)
        except InputError as error:
            return error
        return framed._replace(metadata=inputs)

    def _describe(self, photograph: FramedPhotograph, logits: np.ndarray) -> PhotographPrediction:
        draws = class_probabilities(logits)
        mean = draws.mean(axis=0)
        shown = 1 if len(self.classes) == 2 else int(mean.argmax())
        decision = int(decide(mean[None], self.threshold)[0])
        return PhotographPrediction(
            photograph.name,
            logits,
            mean,
            float(draws[:, shown].std()),
            self.classes[decision],
            photograph=photograph,
        )


def load_run(
    workdir: str | pathlib.Path, *, checkpoint: str = "", draws: int = 0, batch_size: int = 0
) -> Predictor:
    """Loads a trained run, ready to predict photographs.

    Args:
      workdir: directory of the run.
      checkpoint: "best" or "latest"; as the run's config says where "".
      draws: of windows, averaged per image; as the run's config says where 0.
      batch_size: images at a time, which changes no result; as the config says where 0.

    Raises:
      InputError: there is no trained run, or an argument is not usable.
    """
    config = Run.open(workdir).config.copy_and_resolve_references().unlock()
    config.eval.checkpoint = checkpoint or config.eval.checkpoint
    config.eval.samples = draws or config.eval.samples
    config.eval.batch_size = batch_size or config.eval.batch_size
    run = Run.open(workdir, config.lock())
    network = TrainedNetwork.restore(run)
    if run.num_outputs > 1:
        return Predictor(network, 0.5, "the most probable class decides")
    try:
        threshold = run_thresholds(network)[DECIDING]
    except InputError as error:
        return Predictor(network, 0.5, f"no threshold could be chosen on validation: {error}")
    # Of a last training on everything else, the test images stand where validation stood.
    chosen_on = "test images" if run.config.data.retrain else "validation split"
    return Predictor(network, threshold, f"{DECIDING} on the run's {chosen_on}")


def _name(image: Photograph, place: int) -> str:
    return str(image) if isinstance(image, str | pathlib.Path) else f"image {place}"


def _unusable(name: str, problem: str) -> PhotographPrediction:
    nothing = np.empty(0)
    return PhotographPrediction(name, nothing, nothing, float("nan"), "", problem)
