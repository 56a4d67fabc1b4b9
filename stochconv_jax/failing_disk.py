"""What a full or failing disk raises, in whatever guise, here and in libraries' threads."""

import contextlib
import errno
import logging
import os
import re
import sys
import threading
from collections.abc import Collection, Iterator

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# With what is raised where a disk is lost, is mounted anew to be read alone, or is another's.
FAILING = (*FULL, errno.EIO, errno.EROFS, errno.EACCES, errno.ESTALE)


class SaveFailedError(OSError):
    """Saving in the background failed; its threads may still be at it."""


def find_os_error(
    error: BaseException | None, numbers: Collection[int] = FAILING
) -> OSError | None:
    """Returns the operating system's error behind an exception, None where there is none.

    TensorStore, which writes arrays for Orbax, tells it in its text alone.

    Args:
      error: that was raised.
      numbers: of the errors that are looked for (errno); others are passed over.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in numbers:
            return error
        found = re.search(r"os_error_code='(\d+)'", str(error))
        if found and int(found[1]) in numbers:
            return OSError(int(found[1]), os.strerror(int(found[1])))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


@contextlib.contextmanager
def quiet_threads() -> Iterator[None]:
    """Keeps threads from printing tracebacks of a failing disk, which is told once at the end.

    What Orbax and asyncio log of it is raised as well, where somebody waits for it.
    """
    in_threads, elsewhere = threading.excepthook, sys.unraisablehook
    asyncio_log = logging.getLogger("asyncio")
    level = asyncio_log.level

    def handle_in_threads(failure: threading.ExceptHookArgs) -> None:
        if find_os_error(failure.exc_value, (*FULL, errno.EIO)) is None:
            in_threads(failure)

    def handle_elsewhere(failure: "sys.UnraisableHookArgs") -> None:
        # TensorStore's threads say it of every write that ends after Orbax gave up.
        if str(failure.exc_value) != "Event loop is closed":
            elsewhere(failure)

    threading.excepthook, sys.unraisablehook = handle_in_threads, handle_elsewhere
    asyncio_log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = in_threads, elsewhere
        asyncio_log.setLevel(level)
