"""The command line of `python -m stochconv_jax.compare`."""

import argparse
import json
import pathlib
from collections.abc import Sequence

from stochconv_jax.atomic_write import atomic_write
from stochconv_jax.command_line import mistakes_in_a_sentence
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.json_numbers import without_nan
from stochconv_jax.evidence.comparison import compare_runs
from stochconv_jax.evidence.comparison_page import write_page
from stochconv_jax.evidence.comparison_tables import differences_table, draws_table, models_table
from stochconv_jax.evidence.runs import read_runs

DESCRIPTION = (
    "Compares models over seeds, on one self-contained page: curves, metrics with intervals, and "
    "paired tests against a reference."
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and writes comparison.html and comparison.json."""
    parser = argparse.ArgumentParser(
        "python -m stochconv_jax.compare", description=DESCRIPTION, allow_abbrev=False
    )
    parser.add_argument(
        "runs",
        nargs="+",
        type=pathlib.Path,
        help="directories of runs, of models or of studies, or of published *_per_epoch.csv",
    )
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("comparison"))
    parser.add_argument("--reference", default="", help="model to compare with; default: the first")
    said = "judge by so many draws of windows of those kept; default: by all of them"
    parser.add_argument("--draws", type=int, default=0, help=said)
    with mistakes_in_a_sentence(""):
        options = parser.parse_args(arguments)
        if options.output.exists() and not options.output.is_dir():
            raise InputError(f"--output {options.output} is a file; name a directory")
        # A shell's * names the last comparison too.
        given = [path for path in options.runs if path.resolve() != options.output.resolve()]
        if options.draws < 0:
            raise InputError(f"--draws is {options.draws}; use 1 or more, or 0 for all")
        runs, left_out = read_runs(given, options.draws)
        comparison = compare_runs(runs, options.reference, options.draws)
        metric = next(iter(comparison["differences"]))
        options.output.mkdir(parents=True, exist_ok=True)
        atomic_write(options.output / "comparison.html", write_page(runs, comparison, left_out))
        text = json.dumps(without_nan(comparison), indent=2)
        atomic_write(options.output / "comparison.json", text + "\n")
        tables = [models_table(comparison), differences_table(comparison, metric)]
        print("\n\n".join(filter(None, [*tables, draws_table(comparison)])), end="\n\n")
        for reason in left_out:
            print(f"left out: {reason}")
        print(f"{len(runs)} runs of {len(comparison['models'])} models are compared in")
        print(options.output / "comparison.html")
