"""SIGTERM, by which schedulers announce that a machine is about to be taken away."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

Handler = Callable[[int, FrameType | None], None]


class Terminated(BaseException):
    """SIGTERM came; like KeyboardInterrupt, it is no error to go on from."""


class Notice:
    """Whether SIGTERM came while it was held back."""

    came = False


@contextlib.contextmanager
def raised_on_sigterm() -> Iterator[None]:
    """Raises `Terminated` in the main thread when SIGTERM comes; elsewhere it changes nothing."""

    def handle(signum: int, frame: FrameType | None) -> None:
        raise Terminated

    with _handler(handle):
        yield


@contextlib.contextmanager
def held_back() -> Iterator[Notice]:
    """Gives what tells whether SIGTERM came; whoever leaves later is then stopped at the end.

    Raises:
      Terminated: at the end of the block, where SIGTERM came in it.
    """
    notice = Notice()

    def handle(signum: int, frame: FrameType | None) -> None:
        notice.came = True

    with _handler(handle):
        yield notice
    if notice.came:
        raise Terminated


@contextlib.contextmanager
def _handler(handle: Handler) -> Iterator[None]:
    # Python lets the main thread alone set handlers.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
