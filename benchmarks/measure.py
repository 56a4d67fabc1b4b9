"""Timing side by side, and the tables that come of it."""

import json
import os
import pathlib
import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from stochconv_jax.markdown_table import markdown_table

RESULTS = pathlib.Path("runs/benchmarks")
# Seconds.
SLOW = 5.0
HEAVY = 10


def milliseconds(functions: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Returns the median time of each function, in ms.

    They are called in turn, so that what else the machine does meets all alike, and each once
    before it is timed, so that none pays for what the one before it left in the caches. Those that
    take `HEAVY` times as long as the quickest have a round of their own, after the others; what
    takes longer than `SLOW` is timed once.
    """
    times = {}
    for name, function in functions.items():
        _seconds(function)  # compiles, and maps memory
        times[name] = [_seconds(function)]
    quickest = min(first for (first,) in times.values())
    quick = [name for name, (first,) in times.items() if first < HEAVY * quickest]
    heavy = [name for name, (first,) in times.items() if name not in quick and first < SLOW]
    for names in (quick, heavy):
        for _ in range(repeats - 1):
            for name in names:
                _seconds(functions[name])
                times[name].append(_seconds(functions[name]))
    return {name: 1e3 * float(np.median(seconds)) for name, seconds in times.items()}


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - start


def device_name() -> str:
    """Returns what the figures hold for, such as "NVIDIA H100" or "AMD EPYC, 2 cores"."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        return device.device_kind
    information = pathlib.Path("/proc/cpuinfo")
    found = re.search(
        r"model name\s*: (.*)", information.read_text() if information.exists() else ""
    )
    name = found.group(1) if found else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def instruction_set() -> str:
    """Returns the widest vectors that XLA was told of or the processor has, such as "AVX512"."""
    limit = re.search(r"--xla_cpu_max_isa=(\w+)", os.environ.get("XLA_FLAGS", ""))
    if limit:
        return f"at most {limit.group(1)}"
    information = pathlib.Path("/proc/cpuinfo")
    words = information.read_text().split() if information.exists() else []
    known = {"amx_tile": "AMX", "avx512f": "AVX512", "avx2": "AVX2", "asimd": "NEON"}
    return next((name for word, name in known.items() if word in words), platform.machine())


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns the rows as a Markdown table; the keys of the first are the columns."""
    columns = list(rows[0])
    return markdown_table(columns, ([_cell(row.get(name)) for name in columns] for row in rows))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{2 if abs(value) < 10 else 1 if abs(value) < 100 else 0}f}"
    return str(value)


def report(
    name: str, setting: str, rows: Sequence[Mapping[str, Any]], results: pathlib.Path = RESULTS
) -> None:
    """Prints the rows as a table and keeps them in `results`/<device>/<name>.json.

    Args:
      name: of the benchmark.
      setting: shapes and dtypes, in words.
      rows: what was measured; numbers with their unit in the key.
      results: the directory of all results; benchmarks/results holds those of docs/performance.md.
    """
    device = device_name()
    print(f"{name}: {setting}; {device}, JAX {jax.__version__}\n\n{table(rows)}", flush=True)
    directory = results / re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
    directory.mkdir(parents=True, exist_ok=True)
    content = {"setting": setting, "device": device, "jax": jax.__version__, "rows": rows}
    (directory / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
