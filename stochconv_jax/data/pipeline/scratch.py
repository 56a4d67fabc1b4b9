"""Memory that a thread uses again for every image: mapping it anew costs as much as using it."""

import math
import threading

import numpy as np


class Scratch(threading.local):
    """Arrays by name, a set of them for each thread."""

    def __init__(self) -> None:
        """Begins with none."""
        self._memory: dict[str, np.ndarray] = {}

    def array(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Returns uint8 of a shape, filled with anything; the thread's next of this name is it."""
        size = math.prod(shape)
        if name not in self._memory or self._memory[name].size < size:
            self._memory[name] = np.empty(size, np.uint8)
        return self._memory[name][:size].reshape(shape)


SCRATCH = Scratch()
