"""Where a split B0 training step's time goes: python -m benchmarks.profile_step."""

import argparse
import collections
import pathlib
import re
import tempfile
import time
from collections.abc import Sequence

import jax
from jax.profiler import ProfileData

from benchmarks.measure import RESULTS, report
from benchmarks.train_step import NETWORKS, make_jax
from stochconv_jax.huge_pages import restart_with_huge_pages

STEPS = 5
BETWEEN = "between operations"
# The first that a compiled operation's text matches is what it counts as.
KINDS = {
    "stochastic convolution, with its gradient": r"stochconv_jax_stochastic_conv",
    "depthwise convolutions, with their gradients": r"stochconv_jax_depthwise_conv",
    "BatchNorm": r"stochconv_jax_batch_norm",
    "1x1 convolutions, stem, dense layers": r" dot\(",
    "other sums over positions (squeeze-excitation)": r" reduce\(",
    "elementwise: gates, residuals": r"",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints and keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="split b0", choices=NETWORKS)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    options = parser.parse_args(arguments)
    train, _, about = make_jax(NETWORKS[options.network], options.batch, high=1024)
    for _ in range(STEPS):
        jax.block_until_ready(train())
    with tempfile.TemporaryDirectory() as directory:
        with jax.profiler.trace(directory):
            start = time.perf_counter()
            for _ in range(STEPS):
                jax.block_until_ready(train())
            seconds = time.perf_counter() - start
        (path,) = pathlib.Path(directory).rglob("*.xplane.pb")
        times = _operation_times(path)
    total = collections.Counter(dict.fromkeys(KINDS, 0.0))
    for name, kind in _kinds(about["compiled"]).items():
        total[kind] += times.get(name, 0.0) / STEPS
    total[BETWEEN] = max(1e3 * seconds / STEPS - total.total(), 0)
    rows = [
        {"what": kind, "ms": spent, "share %": 100 * spent / total.total()}
        for kind, spent in total.most_common()
    ]
    report("profile_step", f"{options.network}, batch {options.batch}", rows, options.results)


def _operation_times(path: pathlib.Path) -> dict[str, float]:
    """Returns the milliseconds of each event by name, over all threads."""
    times: dict[str, float] = collections.defaultdict(float)
    profile = ProfileData.from_file(str(path))  # held, or its events would be freed meanwhile
    for plane in profile.planes:
        for line in plane.lines:
            for event in line.events:
                times[event.name] += event.duration_ns / 1e6
    return times


def _kinds(compiled: str) -> dict[str, str]:
    """Returns what each operation of the compiled step counts as; those in loops as elementwise."""
    compiled = re.sub(r", metadata=\{[^}]*\}", "", compiled)
    bodies = dict(re.findall(r"(?ms)^%?([\w.-]+) \(.*?\{\n(.*?)^\}", compiled))
    entry = compiled[compiled.index("\nENTRY ") :]
    operation = r"(?m)^\s+(?:ROOT )?%?([\w.-]+) = (.*)$"
    kinds = {name: list(KINDS)[-1] for name, _ in re.findall(operation, compiled)}
    for name, text in re.findall(operation, entry):
        called = re.search(r"calls=%?([\w.-]+)", text)
        text += bodies.get(called.group(1), "") if called else ""
        kinds[name] = next(kind for kind, pattern in KINDS.items() if re.search(pattern, text))
    return kinds


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
