"""What a process says: process 0 everything, the others nothing but why they end."""

import contextlib
import ctypes
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import NoReturn

# What JAX writes before it aborts a process that has lost process 0.
LOST_TOUCH = b"JAX distributed service"


class Voice:
    """The error stream that a process began with, for its last words."""

    def __init__(self) -> None:
        self.stream = os.fdopen(os.dup(2), "w")
        self.once = threading.Lock()

    def end(self, text: str, code: int) -> NoReturn:
        """Says why and ends the program at once, whatever its threads are waiting for."""
        if not self.once.acquire(blocking=False):
            time.sleep(60)  # another thread is ending it
        with contextlib.suppress(OSError):
            print(text, end="\n" if text else "", file=self.stream, flush=True)
        os._exit(code)

    @contextlib.contextmanager
    def silenced(self, last_words: str) -> Iterator[None]:
        """Keeps the block from writing anything.

        Args:
          last_words: for when JAX aborts the process since it has lost process 0, which it does
            with a page about its own insides.
        """
        nothing = open(os.devnull, "w")  # noqa: SIM115
        with nothing, tempfile.TemporaryFile() as written:
            own = [(number, os.dup(number)) for number in (1, 2)]
            sys.stdout.flush()
            os.dup2(nothing.fileno(), 1)
            os.dup2(written.fileno(), 2)

            def aborted(_: int) -> None:
                written.seek(0)
                text = written.read()
                if LOST_TOUCH in text:
                    self.end(last_words, 1)
                self.end(text.decode(errors="replace"), 128 + signal.SIGABRT)

            # Python's own handlers are called later, and after an abort there is no later.
            handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(aborted)
            ctypes.CDLL(None).signal(signal.SIGABRT, handler)
            try:
                with contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing):
                    yield
            finally:
                signal.signal(signal.SIGABRT, signal.SIG_DFL)
                for number, kept in own:
                    os.dup2(kept, number)
                    os.close(kept)
