"""What is taken for a failing disk, and what for a mistake of ours that must be seen."""

import errno
import os
import sys
import threading

import pytest

from stochconv_jax.command_line import mistakes_in_a_sentence
from stochconv_jax.failing_disk import SaveFailedError, find_os_error, quiet_threads


def failure(number, suppressed=False):
    """Returns an error that was raised while one of the operating system's was handled."""
    try:
        try:
            raise OSError(number, os.strerror(number))
        except OSError:
            if suppressed:
                raise KeyError("a mistake") from None
            raise KeyError("a mistake")  # noqa: B904
    except KeyError as error:
        return error


def test_an_error_that_was_put_aside_is_no_reason():
    assert find_os_error(failure(errno.ENOSPC)).errno == errno.ENOSPC
    assert find_os_error(failure(errno.ENOSPC, suppressed=True)) is None


def test_only_a_disks_errors_are_found_even_behind_others():
    assert find_os_error(failure(errno.EMFILE)) is None
    missing = FileNotFoundError(errno.ENOENT, "gone")
    missing.__cause__ = ValueError("[os_error_code='28']")
    assert find_os_error(missing).errno == errno.ENOSPC


@pytest.mark.parametrize(
    ("number", "told"), [(errno.ENOSPC, 0), (errno.EIO, 0), (errno.EMFILE, 1), (errno.ENOENT, 1)]
)
def test_threads_tell_of_every_error_but_a_failing_disks(number, told, monkeypatch):
    seen = []
    monkeypatch.setattr(threading, "excepthook", seen.append)

    def fail():
        raise OSError(number, os.strerror(number))

    with quiet_threads():
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
    assert len(seen) == told


def test_threads_are_quiet_until_the_program_is_left(monkeypatch, capsys):
    before, at_the_end = sys.unraisablehook, []
    monkeypatch.setattr(os, "_exit", lambda code: at_the_end.append((code, sys.unraisablehook)))
    with mistakes_in_a_sentence("; go on"):
        raise SaveFailedError(errno.ENOSPC, "No space left on device", "run/checkpoints")
    ((code, hook),) = at_the_end
    assert code == 2
    assert hook is not before
    assert sys.unraisablehook is before
    said = capsys.readouterr().err
    assert said == "error: run/checkpoints: No space left on device; go on\n"
