"""Which images a pass of training visits, in which order, and which visit each is."""

import dataclasses
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from stochconv_jax.keys import Purpose, generator

# From the number of a pass to the images that it visits, int32, as many in every pass. It may visit
# an image more than once. It must be picklable, and give the same images whenever it is asked.
Sampler = Callable[[int], np.ndarray]


def shuffled(indices: np.ndarray, seed: int) -> Sampler:
    """Returns the sampler that visits each of the images (int32) once, in an order of each pass."""
    return _Shuffled(indices, seed)


@dataclasses.dataclass(frozen=True, eq=False)
class _Shuffled:
    indices: np.ndarray
    seed: int

    def __call__(self, number: int) -> np.ndarray:
        return generator(self.seed, Purpose.ORDER, number).permutation(self.indices)


class Visit(NamedTuple):
    """One reading of an image for training.

    Attributes:
      number: of the pass, from 0.
      image: its index.
      occurrence: how often the pass has visited the image before.
    """

    number: int
    image: int
    occurrence: int


class Visits:
    """The visits of all passes one after the other, as Grain reads a source: without an end.

    Of every pass, the images after its last whole batch are left out.
    """

    def __init__(self, sampler: Sampler, batch_size: int, first_step: int, share: tuple[int, int]):
        """Lays out the visits.

        Args:
          sampler: of the images of each pass.
          batch_size: over all processes; a multiple of their count.
          first_step: number of the batch with which the visits begin.
          share: (number, count) of processes; the visits are every count-th row of each batch,
            beginning with row `number`.
        """
        self.sampler = sampler
        self.batch_size = batch_size
        self.first_step = first_step
        self.share = share
        self.steps = len(sampler(0)) // batch_size
        # Of passes that are being read: readers run ahead into the next one.
        self._passes: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def __len__(self) -> int:
        """As many as Python can count."""
        return sys.maxsize

    def __getitem__(self, place: int) -> Visit:
        """Returns the visit at a place of this process's part."""
        number, count = self.share
        step, row = divmod(int(place), self.batch_size // count)
        passed, step = divmod(self.first_step + step, self.steps)
        indices, occurrences = self._pass(passed)
        at = step * self.batch_size + row * count + number
        return Visit(passed, int(indices[at]), int(occurrences[at]))

    def _pass(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        # Threads may draw a pass twice, and get the same.
        found = self._passes.get(number)
        if found is None:
            indices = self.sampler(number)
            found = indices, _occurrences(indices)
            near = {other: kept for other, kept in self._passes.items() if abs(other - number) < 2}
            self._passes = near | {number: found}
        return found


def _occurrences(indices: np.ndarray) -> np.ndarray:
    """Returns how often each index stands before its place, shaped as they are."""
    order = np.argsort(indices, kind="stable")
    _, first, inverse = np.unique(indices[order], return_index=True, return_inverse=True)
    occurrences = np.empty(len(indices), np.int64)
    occurrences[order] = np.arange(len(indices)) - first[inverse]
    return occurrences
