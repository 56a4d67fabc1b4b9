"""Joining the processes that the environment names, around whatever they do together."""

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator

import jax

from stochconv_jax.errors import InputError
from stochconv_jax.hosts.environment import Place, find_place
from stochconv_jax.hosts.exchange import host_name, is_first, together
from stochconv_jax.hosts.voice import Voice
from stochconv_jax.hosts.watch import GOES_ON, SUSPECT_SECONDS, Watch, lost
from stochconv_jax.termination import Terminated

# How long the processes may take to start.
JOIN_SECONDS = 300.0
# How long other processes wait for process 0 to say what ends them all.
COURTESY_SECONDS = 3.0


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Joins the processes that the environment names; without any, does nothing.

    In the block, processes other than 0 are silent. What fails in one ends all, with one message.

    Raises:
      InputError: the environment's variables do not fit, or not all processes came.
    """
    place = find_place()
    if place is None:
        yield
        return
    voice = Voice()
    _join(place, voice)
    watch = Watch(voice)
    silence = contextlib.nullcontext() if is_first() else voice.silenced(lost(["process 0"]))
    with silence:
        try:
            yield
            together(lambda: None)  # process 0 may have more to write
            watch.stop()
        except BaseException as error:
            _end_all(error, watch)
            raise
        jax.distributed.shutdown()


def _join(place: Place, voice: Voice) -> None:
    """Joins, or ends the program by itself where JAX would abort it."""
    known = f"process {place.number} of {place.count}"
    where = f" at {place.address}" if place.address else ""
    missing = "waited for the others, and not all came" if place.number == 0 else "met no process 0"
    sentence = (
        f"error: {known} {missing}{where} within {JOIN_SECONDS:.0f} s; start the same command once "
        "for each process, and see that all hosts reach that port of process 0"
    )
    timer = threading.Timer(JOIN_SECONDS, voice.end, [sentence, 2])
    timer.daemon = True
    timer.start()
    # JAX would take SIGTERM for itself.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            place.address or None,
            place.count,
            place.number,
            local_device_ids=[] if place.own_devices else None,
            cluster_detection_method="deactivate" if place.address else "slurm",
            initialization_timeout=int(JOIN_SECONDS) + 60,
        )
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{known} could not join{where}: {error}") from error
    finally:
        timer.cancel()


def _end_all(error: BaseException, watch: Watch) -> None:
    """Ends the other processes for what happened in this one; returns in process 0 alone."""
    if isinstance(error, InputError | OSError):
        text, code = f"error: {host_name()}: {error}", 2
    elif isinstance(error, KeyboardInterrupt):
        text, code = f"interrupted: {host_name()}; {GOES_ON}", 130
    elif isinstance(error, Terminated):
        text, code = f"terminated: {host_name()}; {GOES_ON}", 128 + signal.SIGTERM
    elif isinstance(error, SystemExit):
        text, code = "", error.code if isinstance(error.code, int) else 1
    else:
        text, code = _unexpected(error, watch), 1
    if not is_first():
        # Where process 0 found the same, it says so itself, once it has saved what there is.
        time.sleep(COURTESY_SECONDS * (4 if isinstance(error, Terminated) else 1))
        watch.end_all(text, code)
        time.sleep(5)
        watch.voice.end(text, code)
    watch.end_all(text, code)
    # Leaving in the ordinary way, JAX would wait for processes that have ended.
    atexit.register(_leave, code)


def _leave(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _unexpected(error: BaseException, watch: Watch) -> str:
    """Returns what to say of an error that a lost process may be the reason of."""
    try:
        names = watch.silent(SUSPECT_SECONDS)
    except jax.errors.JaxRuntimeError:
        watch.voice.end(lost(["process 0"]), 1)
    if not names:
        return "".join(traceback.format_exception(error)) + f"error: {host_name()} failed"
    if is_first():
        watch.end_all(lost(names), 1)
        watch.voice.end(lost(names), 1)
    return lost(names)
