"""What the steps of one epoch told."""

import time
from collections.abc import Mapping

import numpy as np

from stochconv_jax.evaluation.estimate import roc_auc_value
from stochconv_jax.inference.probabilities import class_probabilities
from stochconv_jax.training.step import StepMetrics


class EpochRecord:
    """Losses, labels and logits of the steps, on the host.

    It is kept with a checkpoint within the epoch, so that the epoch's row of metrics is the same
    whether it was trained in one go or not.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray] | None = None, seconds: float = 0.0):
        """Begins empty, or with what `arrays` returned of a record that took so many seconds."""
        self.losses: list[float] = []
        self.labels: list[np.ndarray] = []
        self.logits: list[np.ndarray] = []
        if arrays is not None:
            self.losses = np.asarray(arrays["losses"]).tolist()
            self.labels = [np.asarray(arrays["labels"])]
            self.logits = [np.asarray(arrays["logits"])]
        self._begun = time.perf_counter() - seconds
        self._added: list[tuple[float, int]] = []  # when, and how many images

    @property
    def steps(self) -> int:
        """Steps that were added."""
        return len(self.losses)

    @property
    def seconds(self) -> float:
        """Since it began, the time between processes left out."""
        return time.perf_counter() - self._begun

    @property
    def images_per_second(self) -> float:
        """Of the steps that were added here, but for the first, which may have compiled.

        Of all steps where there are not two.
        """
        if len(self._added) < 2:
            return sum(map(len, self.labels)) / self.seconds
        (first, _), *others = self._added
        return sum(count for _, count in others) / (others[-1][0] - first)

    def add(self, metrics: StepMetrics) -> None:
        """Adds a step, waiting until it is computed."""
        self.losses.append(float(metrics.loss))
        self.labels.append(np.asarray(metrics.labels))
        self.logits.append(np.asarray(metrics.logits))
        self._added.append((time.perf_counter(), len(metrics.labels)))

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns `losses` float32 [S], `labels` int32 [S B], `logits` float32 [S B, outputs]."""
        return {
            "losses": np.asarray(self.losses, np.float32),
            "labels": np.concatenate(self.labels),
            "logits": np.concatenate(self.logits),
        }

    def loss(self) -> float:
        """Returns the mean of the steps' losses."""
        return float(np.mean(self.losses))

    def auc(self) -> float:
        """Returns the area under the ROC curve of the logits that training met."""
        probabilities = class_probabilities(np.concatenate(self.logits))
        return roc_auc_value(np.concatenate(self.labels), probabilities)
