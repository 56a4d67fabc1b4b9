"""Something that is done again and again while a context lasts."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

LOGGER = logging.getLogger(__name__)


@contextlib.contextmanager
def every(seconds: float, action: Callable[[], None]) -> Iterator[None]:
    """Calls `action` every so many seconds, in a thread of its own, until the context ends.

    What it raises is logged, and it is called again all the same.
    """
    done = threading.Event()

    def repeat() -> None:
        while not done.wait(seconds):
            try:
                action()
            except Exception:
                LOGGER.exception("%s failed; it is tried again", action)

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
