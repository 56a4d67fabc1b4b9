"""Draws docs/results/*.png from the comparisons and probes that are kept beside them.

python docs/results.py
"""

import json
import pathlib
from typing import Any

from stochconv_jax.evidence.comparison_plots import plot_differences, plot_draws, plot_values
from stochconv_jax.probing.plot import plot_probe

KEPT = pathlib.Path(__file__).with_name("results")
# (height, width) of the images that were probed.
PROBED = {"probe_polyu": (256, 256)}


def main() -> None:
    """Writes each study's picture: its models' figures, or where they lie close, differences."""
    for name in ("quick", "paper"):
        comparison = _read(name)
        figure = next(iter(comparison["differences"]))
        plot_values(comparison["models"], figure).savefig(KEPT / f"{name}.png", dpi=90)
    draws = plot_draws(_read("quick")["models"])
    draws.savefig(KEPT / "quick_draws.png", dpi=90)
    for name in ("ham10000", "retinas"):
        comparison = _read(name)
        figure, rows = next(iter(comparison["differences"].items()))
        picture = plot_differences(rows, figure, comparison["reference"])
        picture.savefig(KEPT / f"{name}.png", dpi=90)
    for name, size in PROBED.items():
        plot_probe(_read(name), size).savefig(KEPT / f"{name}.png", dpi=90)


def _read(name: str) -> Any:
    return json.loads((KEPT / f"{name}.json").read_text())


if __name__ == "__main__":
    main()
