"""What the environment says of the processes that belong together."""

import dataclasses
import os
from collections.abc import Mapping

from stochconv_jax.errors import InputError

ADDRESS, COUNT, NUMBER = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
# The number of a pod of a Kubernetes Job, or of one Job of a JobSet, that is indexed.
POD = "JOB_COMPLETION_INDEX"
SLURM = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_PROCID", "SLURM_LOCALID")
STEP_TASKS, STEP_NODES = "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NUM_NODES"


@dataclasses.dataclass(frozen=True)
class Place:
    """Which of several processes this one is.

    Attributes:
      number: from 0.
      count: of processes; 2 or more.
      address: host:port of process 0; "" where JAX reads it from Slurm's variables.
      own_devices: whether all devices of the host are this process's; else Slurm's n-th task of a
        host has the n-th device.
    """

    number: int
    count: int
    address: str
    own_devices: bool = True


def find_place(environment: Mapping[str, str] = os.environ) -> Place | None:
    """Returns this process's place, or None of a process that is alone.

    The three JAX_* variables come first, so that JAX_NUM_PROCESSES=1 keeps a task of Slurm alone.
    Slurm's are read of the step that `srun` started, not of the job around it: a shell in a job of
    several tasks is alone.

    Raises:
      InputError: variables are missing, no numbers, or do not fit.
    """
    given = {name: environment.get(name, "") for name in (ADDRESS, COUNT, NUMBER)}
    if given[COUNT] == "1":
        return None
    if any(given.values()):
        given[NUMBER] = given[NUMBER] or environment.get(POD, "")
        return _given(given)
    if all(name in environment for name in SLURM) and environment.get(STEP_TASKS, "1") != "1":
        count = _whole(STEP_TASKS, environment[STEP_TASKS])
        number = _whole("SLURM_PROCID", environment["SLURM_PROCID"])
        return Place(number, count, "", environment.get(STEP_NODES) == environment[STEP_TASKS])
    return None


def _given(given: Mapping[str, str]) -> Place:
    missing = [name for name, value in given.items() if not value]
    if missing:
        raise InputError(
            f"{' and '.join(missing)} of {ADDRESS}, {COUNT} and {NUMBER} are not set; set all "
            "three, or none to train in one process"
        )
    count, number = _whole(COUNT, given[COUNT]), _whole(NUMBER, given[NUMBER])
    if number >= count:
        raise InputError(
            f"{NUMBER} is {number} and {COUNT} {count}; number the processes from 0 to {count - 1}"
        )
    host, _, port = given[ADDRESS].rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise InputError(
            f"{ADDRESS} is {given[ADDRESS]!r}; write HOST:PORT, a free port of the host of process "
            "0, such as node1:1234"
        )
    return Place(number, count, given[ADDRESS])


def _whole(name: str, value: str) -> int:
    if not value.isdigit():
        raise InputError(f"{name} is {value!r}; set it to a whole number")
    return int(value)
