"""A command as a process of its own, watched from outside and struck by signals."""

import contextlib
import fnmatch
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[2]
# Seconds after which a command hangs.
PATIENCE = 300.0
LOOK = 0.002
# Seconds that what a command started may outlive it.
ORPHANS = 15.0
# As in tests/conftest.py: compiled in a quarter of the time.
FLAGS = "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=0"


class Moment(NamedTuple):
    """When to strike: what is to be seen first, and how long after it.

    Attributes:
      output: pattern of what is printed; "" for the start of the process.
      files: pattern of files in the victim's directory, of which a new one is to appear.
      count: how often.
      delay: seconds after it.
    """

    output: str = ""
    files: str = ""
    count: int = 1
    delay: float = 0.0


class Command:
    """A command that runs; what it prints is kept with its times."""

    def __init__(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        prefix: Sequence[str] = (),
    ):
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            [*prefix, sys.executable, *words],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.output = ""
        self.left_orphans = False
        self.times: list[tuple[float, int]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as pipe:
            while chunk := os.read(pipe.fileno(), 65536):
                self.output += chunk.decode(errors="replace")
                self.times.append((time.monotonic() - self.begun, len(self.output)))

    def when(self, pattern: str) -> float:
        """Returns the seconds from the start until the pattern was printed."""
        found = re.search(pattern, self.output)
        assert found, f"{pattern!r} was not printed:\n{self.output}"
        return next(seconds for seconds, length in self.times if length >= found.end())

    def reaches(self, moment: Moment, directory: pathlib.Path) -> bool:
        """Waits for a moment; returns whether the command still runs then."""
        seen = found(directory, moment.files) if moment.files else set()
        count, looked = 0, -1
        while self.process.poll() is None:
            self._give_up_if_it_hangs()
            if moment.files:
                new = found(directory, moment.files) - seen
                count, seen = count + len(new), seen | new
            elif moment.output and len(self.output) != looked:
                looked = len(self.output)
                count = len(re.findall(moment.output, self.output))
            if count >= moment.count or not (moment.files or moment.output):
                time.sleep(moment.delay)
                return self.process.poll() is None
            time.sleep(LOOK)
        return False

    def _give_up_if_it_hangs(self) -> None:
        if time.monotonic() - self.begun > PATIENCE:
            self.strike(signal.SIGKILL)
            raise TimeoutError(f"a command hangs:\n{self.output}")

    def strike(self, number: int, group: bool = True) -> float:
        """Sends a signal and waits for the end; returns the seconds in between."""
        begun = time.monotonic()
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        self.end()
        return time.monotonic() - begun

    def end(self) -> int:
        """Waits for the end; returns the exit code as a shell tells it."""
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise TimeoutError(f"a command hangs:\n{self.output}") from None
        # What it started ends with it; whatever does not holds the pipe open.
        self._reader.join(ORPHANS)
        self.left_orphans = self._reader.is_alive()
        if self.left_orphans:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        return 128 - code if code < 0 else code


def found(directory: pathlib.Path, pattern: str) -> set[pathlib.Path]:
    """Returns the files and directories whose name is like the pattern, while others vanish."""
    return {
        pathlib.Path(place) / name
        for place, directories, files in os.walk(directory)
        for name in fnmatch.filter([*directories, *files], pattern)
    }


def environment(cache: pathlib.Path, **more: str) -> dict[str, str]:
    """Returns what commands are started with: quick to compile, every step printed."""
    return {
        **os.environ,
        "XLA_FLAGS": FLAGS,
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "TQDM_MININTERVAL": "0",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        **more,
    }
