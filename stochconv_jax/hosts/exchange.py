"""What the processes tell one another beside the arrays that they compute.

It goes through JAX's coordination service, which waits for hours where a collective operation of
devices would give up. JAX has no public name for its client; Orbax takes it from the same place.
"""

import json
import socket
from collections.abc import Callable
from typing import Any, TypeVar

import jax
from jax._src import distributed

from stochconv_jax.errors import InputError

Result = TypeVar("Result")
FOREVER = 2**31 - 1  # milliseconds, 24 days
# How long a process that has failed waits for the others to come to the same place.
PATIENCE = 60_000
# How many exchanges there were, and within the latest, and so on.
_path = [0]


def process_count() -> int:
    """Returns how many processes have joined; 1 of one that is alone."""
    return distributed.global_state.num_processes


def process_number() -> int:
    """Returns which of them this one is, from 0."""
    return distributed.global_state.process_id


def is_first() -> bool:
    """Returns whether this is process 0, which writes, prints and prepares for all."""
    return process_number() == 0


def host_name() -> str:
    """Returns "process 1 (on node2)", of this process."""
    return f"process {process_number()} (on {socket.gethostname()})"


def client() -> Any:
    """Returns the client of JAX's coordination service; None in a process that is alone."""
    return distributed.global_state.client


def of_first(function: Callable[[], Result]) -> Result:
    """Calls a function in process 0 and returns there and everywhere else what it returned.

    Every process must come here, in the same order of calls.

    Args:
      function: what it returns must be what JSON keeps as it is.

    Raises:
      InputError: in every process, where the function raised it in process 0.
    """
    if process_count() == 1:
        return function()
    key = _next_key()
    if not is_first():
        told = json.loads(client().blocking_key_value_get(key, FOREVER))
        if "error" in told:
            raise InputError(told["error"])
        return told["result"]
    try:
        result = function()
    except InputError as error:
        client().key_value_set(key, json.dumps({"error": str(error)}))
        raise
    client().key_value_set(key, json.dumps({"result": result}))
    return result


def together(function: Callable[[], Result]) -> Result:
    """Calls a function in every process and returns once all are through.

    Raises:
      InputError: in every process, where the function raised it in any.
    """
    if process_count() == 1:
        return function()
    key, error = _next_key(), ""
    _path.append(0)
    try:
        result = function()
    except InputError as found:
        error = str(found)
    finally:
        _path.pop()
    verdict = _verdict(key, error)
    if verdict:
        raise InputError(verdict)
    return result


def first_then_others(function: Callable[[], Result]) -> Result:
    """Calls a function in process 0, and then in the others, which find done what it did.

    Raises:
      InputError: in every process, where the function raised it in any.
    """
    own: list[Result] = []
    of_first(lambda: own.append(function()))
    return together(lambda: own[0] if own else function())


def _verdict(key: str, error: str) -> str:
    """Returns the mistake that any process made, process 0's before others'; "" of none."""
    told = error if is_first() or not error else f"{host_name()}: {error}"
    client().key_value_set(f"{key}/of/{process_number()}", told)
    if is_first():
        found = [
            client().blocking_key_value_get(f"{key}/of/{number}", FOREVER)
            for number in range(process_count())
        ]
        client().key_value_set(f"{key}/verdict", next(filter(None, found), ""))
    try:
        # Others that wait for this process's part of a sum never come here.
        return client().blocking_key_value_get(f"{key}/verdict", PATIENCE if error else FOREVER)
    except jax.errors.JaxRuntimeError as lost:
        raise RuntimeError(told or str(lost)) from lost


def _next_key() -> str:
    """Names an exchange by its place among those that every process comes through."""
    _path[-1] += 1
    return "exchange/" + "/".join(map(str, _path))
