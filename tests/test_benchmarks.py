"""Benchmarks run at a tiny size (of networks: tests/slow); the documented tables are kept ones."""

import json
import pathlib
import re

from support import cells

from benchmarks import (
    depthwise_conv,
    input_pipeline,
    measure,
    stochastic_conv,
)

ROOT = pathlib.Path(__file__).parents[1]


def run(benchmark, tmp_path, arguments):
    benchmark.main([*arguments.split(), "--results", str(tmp_path)])
    (path,) = tmp_path.rglob("*.json")
    return json.loads(path.read_text())["rows"]


def test_stochastic_conv(tmp_path):
    rows = run(stochastic_conv, tmp_path, "--batch 1 --side 64 --output 8 --repeats 1")
    stems, others = rows[:3], rows[3:]
    assert all(row["layer"].startswith("standard stem") for row in stems)
    for ratio in ("of the best stem", "of the best stem's"):
        assert min(row[ratio] for row in stems) == 1
    assert len(others) == 7
    assert all(row["forward ms"] > 0 for row in rows)


def test_depthwise_conv_knows_b0s_sixteen_layers(tmp_path):
    layers = depthwise_conv.layers(112)
    assert sum(layers.values()) == 16
    assert layers[112, 96, 3, 2] == 1
    assert layers[7, 1152, 5, 1] == 3
    rows = run(depthwise_conv, tmp_path, "--batch 1 --side 16 --repeats 1")
    assert rows[-1]["layer"] == "all sixteen"


def test_input_pipeline(tmp_path, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)  # reader processes take seconds each to begin
    rows = run(input_pipeline, tmp_path, "--images 20 --high 128 --low 32 --repeats 1")
    assert all(row["images/s"] > 0 for row in rows)


def test_the_documented_tables_are_those_of_the_kept_results():
    names = ("performance", "weights", "peers", "export", "scaling", "reliability")
    pages = [f"{name}.md" for name in names]
    documented = "\n".join((ROOT / "docs" / page).read_text() for page in pages)
    tables = [cells(table) for table in re.findall(r"(?m)(?:^\|.*\n?)+", documented)]
    results = sorted((ROOT / "benchmarks" / "results").rglob("*.json"))
    assert results
    for path in results:
        assert cells(measure.table(json.loads(path.read_text())["rows"])) in tables, path
