"""A run's network as a checkpoint left it."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import numpy as np
from flax import nnx
from tqdm import tqdm

from stochconv_jax.data.dataset.image_dataset import ImageDataset
from stochconv_jax.inference.photographs import FramedPhotograph, photograph_batches
from stochconv_jax.inference.predict import (
    ModelState,
    Predict,
    Predictions,
    finite_logits,
    make_predict,
    predict_all,
    rows_per_batch,
)
from stochconv_jax.keys import Purpose
from stochconv_jax.runs.devices import make_mesh
from stochconv_jax.runs.run import Run


@dataclasses.dataclass(frozen=True)
class TrainedNetwork:
    """A run's network; it draws `eval.samples` times, windows placed as `eval.placement` says.

    Attributes:
      run: its config says with which checkpoint, how often and in which batches to predict.
      state: parameters and statistics.
      step: training steps made.
      epochs: that the run has trained, whichever of them the checkpoint is of.
    """

    run: Run
    state: ModelState
    step: int
    epochs: int

    @classmethod
    def restore(cls, run: Run) -> "TrainedNetwork":
        """Restores the checkpoint that `eval.checkpoint` names.

        Raises:
          InputError: there is none.
        """
        shapes = nnx.state(run.abstract_model(), nnx.Param, nnx.BatchStat)
        with run.checkpoints(make_mesh()) as checkpoints:
            state, step = checkpoints.restore_model(run.config.eval.checkpoint, shapes)
            epochs = checkpoints.epochs()
        return cls(run, tuple(state), step, epochs)

    def predict_split(self, dataset: ImageDataset, split: str) -> Predictions:
        """Predicts "train", "validation", "test" or "all" of a data set.

        Raises:
          InputError: the split is empty or a prediction is not finite.
        """
        pipeline = self.run.pipeline(dataset)
        count = -(-len(dataset.indices(split)) // self.rows)
        batches = pipeline.evaluation_batches(split, self.rows)
        bar = tqdm(batches, f"evaluating {split}", count, unit="batch", leave=False)
        key = self.run.key(Purpose.EVALUATION)
        return predict_all(self._predict, self.state, bar, key, make_mesh())

    def predict_photographs(
        self, photographs: Sequence[FramedPhotograph]
    ) -> Iterator[tuple[FramedPhotograph, np.ndarray]]:
        """Yields each photograph with its logits, float32 [K, outputs].

        What a photograph meets depends on its content alone, not on those beside it.

        Raises:
          InputError: a prediction is not finite.
        """
        key = self.run.key(Purpose.EVALUATION)
        for own, batch in photograph_batches(photographs, self.run, self.rows):
            logits = finite_logits(self._predict(self.state, batch, key))
            yield from zip(own, logits, strict=False)

    @functools.cached_property
    def _predict(self) -> Predict:
        wanted = self.run.config.eval
        return make_predict(self.run.abstract_model(wanted.placement), make_mesh(), wanted.samples)

    @property
    def rows(self) -> int:
        """Images per batch: `eval.batch_size`, rounded up to a multiple of the devices."""
        return rows_per_batch(self.run.config.eval.batch_size, make_mesh())
