"""What every worker process begins with, whether it prepares images or reads them."""

import multiprocessing
import os
import signal
import threading
from typing import Any


def begin_worker(*_: Any) -> None:
    """Leaves Ctrl-C to the main process, and ends when that ends, however it ends.

    A worker whose main process was killed would wait for work for ever, with the memory that it
    holds.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    main = multiprocessing.parent_process()
    assert main is not None, "called in a worker process"
    main.join()
    os._exit(1)
