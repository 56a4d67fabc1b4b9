"""Draws docs/results/*.png from the comparisons and probes that are kept beside them.

python docs/results.py
"""

import json
import pathlib
from typing import Any

from stochconv_jax.evidence.comparison_plots import (
    plot_costs,
    plot_differences,
    plot_draws,
    plot_values,
)
from stochconv_jax.probing.plot import plot_probe

KEPT = pathlib.Path(__file__).with_name("results")
VALUES = ("quick", "paper")
DRAWS = ("quick", "lesion_placements")
DIFFERENCES = ("ham10000", "retinas")
COSTS = ("livec", "polyu")
PROBED = ("polyu", "livec", "retinas")


def main() -> None:
    """Writes each study's picture: its models' figures, their differences, or what they cost."""
    for name in VALUES:
        comparison = _read(name)
        figure = next(iter(comparison["differences"]))
        _save(plot_values(comparison["models"], figure), name)
    for name in DRAWS:
        _save(plot_draws(_read(name)["models"]), f"{name}_draws")
    for name in DIFFERENCES:
        comparison = _read(name)
        figure, rows = next(iter(comparison["differences"].items()))
        _save(plot_differences(rows, figure, comparison["reference"]), name)
    for name in COSTS:
        _save(plot_costs(_read(name)["models"]), f"{name}_costs")
    for name in PROBED:
        probed = _read(f"probes/{name}")
        _save(plot_probe(probed["inputs"], tuple(probed["size"])), f"probes/{name}")


def _read(name: str) -> Any:
    return json.loads((KEPT / f"{name}.json").read_text())


def _save(picture: Any, name: str) -> None:
    picture.savefig(KEPT / f"{name}.png", dpi=90)


if __name__ == "__main__":
    main()
