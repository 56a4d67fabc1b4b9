"""What every worker process begins with, whether it prepares images or reads them."""

import multiprocessing
import os
import signal
import threading
from types import FrameType
from typing import Any

# Schedulers send SIGTERM to every process; the main one needs its workers until it has saved.
GRACE_SECONDS = 20.0


def begin_worker(*_: Any) -> None:
    """Leaves Ctrl-C and SIGTERM to the main process, and ends when that ends, however it ends.

    A worker whose main process was killed would wait for work for ever, with the memory that it
    holds.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_later)
    threading.Thread(target=_follow, daemon=True).start()


def _end_later(signum: int, frame: FrameType | None) -> None:
    timer = threading.Timer(GRACE_SECONDS, os._exit, [128 + signum])
    timer.daemon = True
    timer.start()


def _follow() -> None:
    main = multiprocessing.parent_process()
    assert main is not None, "called in a worker process"
    main.join()
    os._exit(1)
