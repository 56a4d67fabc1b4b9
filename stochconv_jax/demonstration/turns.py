"""One at a time: whoever asks while others are asking waits, and not too many do."""

import contextlib
import threading
from collections.abc import Iterator

from stochconv_jax.errors import InputError

MOST_WAITING = 20


class Turns:
    """A lock with a bounded crowd before it."""

    def __init__(self, most_waiting: int = MOST_WAITING):
        self._turn = threading.Lock()
        self._places = threading.BoundedSemaphore(most_waiting + 1)

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """Waits for a turn and has it.

        Raises:
          InputError: too many wait already.
        """
        if not self._places.acquire(blocking=False):
            raise InputError("many people are asking just now; wait a minute and ask again")
        try:
            with self._turn:
                yield
        finally:
            self._places.release()
