"""How often a pass of training visits the images of each class."""

import dataclasses

import numpy as np

from stochconv_jax.data.dataset.image_dataset import ImageDataset
from stochconv_jax.data.pipeline.sampler import Sampler
from stochconv_jax.errors import InputError
from stochconv_jax.keys import Purpose, generator


@dataclasses.dataclass(frozen=True, eq=False)
class Balanced:
    """Visits each image of class c floor(w[c]) times, and a drawn share w[c] - floor(w[c]) again.

    The share is rounded to whole images, drawn in each pass anew, none of them twice. w[c] is the
    class's multiplier, with `equal_classes` times m / n[c], of the n[c] images of the class and
    the m of the commonest.

    Attributes:
      labels: int [images], of the whole data set.
      multipliers: w, 0 or more, of each class.
      equal_classes: whether they count from classes that come equally often.

    Source: Song 2020, section "Balanced Sampling" of the thesis on EfficientNet, which draws the
    share with replacement.
    """

    labels: np.ndarray
    multipliers: tuple[float, ...]
    equal_classes: bool = False

    @classmethod
    def of(
        cls, dataset: ImageDataset, multipliers: tuple[float, ...], equal_classes: bool
    ) -> "Balanced":
        """Returns the order of a data set's images, with multipliers of 1 where they are ().

        Raises:
          InputError: the multipliers are not one for each class.
        """
        classes = dataset.classes
        if multipliers and len(multipliers) != len(classes):
            raise InputError(
                f"data.class_multipliers has {len(multipliers)} numbers; give one for each class: "
                f"{', '.join(classes)}"
            )
        return cls(dataset.labels, multipliers or (1.0,) * len(classes), equal_classes)

    def __call__(self, indices: np.ndarray, seed: int) -> Sampler:
        """Returns the order of each pass over the images (int32) of the training split."""
        labels = self.labels[indices]
        counts = np.bincount(labels, minlength=len(self.multipliers))
        weights = np.asarray(self.multipliers, np.float64)
        if self.equal_classes:
            weights = weights * counts.max() / np.maximum(counts, 1)
        of_class = tuple(indices[labels == number] for number in range(len(weights)))
        return _BalancedPasses(of_class, weights, seed)


@dataclasses.dataclass(frozen=True, eq=False)
class _BalancedPasses:
    of_class: tuple[np.ndarray, ...]
    weights: np.ndarray
    seed: int

    def __call__(self, number: int) -> np.ndarray:
        rng = generator(self.seed, Purpose.ORDER, number)
        visited = []
        for images, weight in zip(self.of_class, self.weights, strict=True):
            copies = int(weight)
            rest = round((weight - copies) * len(images))
            visited += [np.tile(images, copies), rng.permutation(images)[:rest]]
        return rng.permutation(np.concatenate(visited))
