"""Two processes of one program on this machine, which join by the variables they are given."""

import contextlib
import os
import socket
import subprocess
import sys

from support import ROOT


@contextlib.contextmanager
def starting():
    """Gives a function that starts a program as two processes, devices each, that are to join."""
    begun = []

    def start(words, devices=1, number_name="JAX_PROCESS_ID", **environment):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        flags = os.environ["XLA_FLAGS"].replace("device_count=4", f"device_count={devices}")
        # Slurm's tasks are given the port alone.
        given = environment or {
            "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
            "JAX_NUM_PROCESSES": "2",
        }
        shared = {**os.environ, "XLA_FLAGS": flags, "JAX_COORDINATOR_PORT": str(port), **given}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes = [
            subprocess.Popen(
                [sys.executable, *words],
                cwd=ROOT,
                env={**shared, number_name: str(number)},
                **pipes,
            )
            for number in range(2)
        ]
        begun.extend(processes)
        return processes

    try:
        yield start
    finally:
        for process in begun:
            process.kill()
            process.communicate()


def finish(processes):
    """Returns the exit codes, and all that each wrote to stdout and to stderr."""
    said = [process.communicate(timeout=300) for process in processes]
    return [process.returncode for process in processes], said
