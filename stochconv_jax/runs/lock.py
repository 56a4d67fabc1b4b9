"""Who may write in a run's directory."""

import pathlib
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import BaseFileLock, FileLock, Timeout

from stochconv_jax.errors import InputError
from stochconv_jax.hosts.exchange import of_first


def run_lock(directory: pathlib.Path) -> BaseFileLock:
    """Returns the lock of a run's directory; a process that holds it may take it again."""
    return FileLock(directory / ".lock", timeout=0, is_singleton=True)


@contextmanager
def locked(directory: pathlib.Path) -> Iterator[None]:
    """Keeps out of a run's directory whoever has not joined this process.

    Raises:
      InputError: one is in it.
    """
    lock = run_lock(directory)

    def acquire() -> None:
        try:
            lock.acquire()
        except Timeout as error:
            raise InputError(
                f"another process is training in {directory}; wait for it, or name another "
                "directory"
            ) from error

    of_first(acquire)
    try:
        yield
    finally:
        lock.release()
