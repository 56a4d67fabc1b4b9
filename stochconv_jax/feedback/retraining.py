"""A run trained once more, on its own images and on corrected ones, and judged beside the old one.

It is an ordinary run by the old one's recipe, and begins anew. To go on from the old parameters
would be quicker, but networks that are trained so generalise worse than those trained anew on the
same images, and what they are would depend on how often they were retrained.

Source: Ash & Adams, "On Warm-Starting Neural Network Training", 2020.
"""

import dataclasses
import pathlib

import numpy as np
from ml_collections import ConfigDict

from stochconv_jax.config_limits import check_limits
from stochconv_jax.data.dataset.image_dataset import ImageDataset
from stochconv_jax.data.feedback_images import Feedback, add_feedback
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.deferral import decide
from stochconv_jax.evaluation.estimate import group_numbers
from stochconv_jax.evaluation.thresholds import DECIDING, choose_thresholds
from stochconv_jax.feedback.verdict import Verdict, held_out_auc
from stochconv_jax.hosts.exchange import first_then_others
from stochconv_jax.inference.predict import Predictions
from stochconv_jax.inference.trained_network import TrainedNetwork
from stochconv_jax.runs.run import Run
from stochconv_jax.saved_config import read_config
from stochconv_jax.training.loop import train

HELD_OUT = ("validation", "test")


@dataclasses.dataclass(frozen=True)
class Retraining:
    """A run, the images that it is to be trained on once more, and what both are judged by.

    Attributes:
      old: the run; its `eval` section says with which checkpoint and how often to predict.
      config: of the new one, the old one's recipe.
      feedback: the images of both.
      own: the old run's images alone.
      split: that judges.
    """

    old: TrainedNetwork
    config: ConfigDict
    feedback: Feedback
    own: ImageDataset
    split: str

    @classmethod
    def prepare(
        cls, config: ConfigDict, run: pathlib.Path, directory: str, split: str = ""
    ) -> "Retraining":
        """Opens the run and the corrected images, and trains nothing.

        Args:
          config: of the run, `train`, `eval` and where data lie as wanted.
          run: its directory.
          directory: what `stochconv feedback export` wrote.
          split: that judges, "validation" or "test"; as `eval.split` says where "".

        Raises:
          InputError: the run has no checkpoint, its data are not at hand, another field was
            changed, nothing was held out, or the corrected images cannot be used.
        """
        split = split or config.eval.split
        if split not in HELD_OUT:
            raise InputError(
                f"eval.split is {split!r}, which was not held out; judge on validation or test "
                "(--split)"
            )
        wanted = config.copy_and_resolve_references().unlock()
        wanted.data.feedback = (*config.data.feedback, directory)
        check_limits(wanted.lock())
        unchanged = config.copy_and_resolve_references().unlock()
        unchanged.train = read_config(run).train
        old = TrainedNetwork.restore(Run.open(run, unchanged.lock()))
        own = old.run.load_dataset()
        own.indices(split)
        prepared = config.data.prepared_directory
        feedback = first_then_others(lambda: add_feedback(own, [directory], prepared))
        return cls(old, wanted, feedback, own, split)

    def run(self, directory: pathlib.Path, margin: float) -> "Outcome":
        """Trains the new run in a directory, or goes on with it, and judges it.

        Raises:
          InputError: training cannot go on, the images were changed meanwhile, or there are too few
            to judge by.
        """
        before = self.old.predict_split(self.own, self.split)
        groups = group_numbers([self.own.examples[index].group for index in before.indices])
        reference = held_out_auc(before.labels, _mean(before), groups)
        train(self.config, str(directory))
        new = TrainedNetwork.restore(Run.open(directory, self.config))
        dataset = self.feedback.dataset
        if new.run.data["fingerprint"] != dataset.identity["fingerprint"]:
            raise InputError("the images were changed while the network was trained; start again")
        after = new.predict_split(dataset, self.split)
        assert np.array_equal(after.indices, before.indices), "added images come last"
        area = held_out_auc(after.labels, _mean(after), groups)
        corrected = dataset.subset(self.feedback.places)
        return Outcome(
            self,
            new,
            Verdict(reference, area, before.labels, groups, margin),
            _decided_right(self.old, corrected, self._threshold(self.old, self.own, before)),
            _decided_right(new, corrected, self._threshold(new, dataset, after)),
        )

    def _threshold(
        self, network: TrainedNetwork, dataset: ImageDataset, judged: Predictions
    ) -> float:
        """What prediction would decide by, without keeping it: the old run stays what it is."""
        if network.run.num_outputs > 1:
            return 0.5
        validated = judged
        if self.split != "validation":
            validated = network.predict_split(dataset, "validation")
        return choose_thresholds(validated.labels, _mean(validated)[:, 1])[DECIDING]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a retraining.

    Attributes:
      retraining: as it was prepared.
      new: the network that was trained once more.
      verdict: on the images that were held out.
      old_right: how many of the corrected images the old network decides right.
      new_right: the new one, which was trained on them.
    """

    retraining: Retraining
    new: TrainedNetwork
    verdict: Verdict
    old_right: int
    new_right: int


def _mean(found: Predictions) -> np.ndarray:
    return found.probabilities.mean(axis=1)


def _decided_right(network: TrainedNetwork, images: ImageDataset, threshold: float) -> int:
    found = network.predict_split(images, "all")
    return int((decide(_mean(found), threshold) == found.labels).sum())
