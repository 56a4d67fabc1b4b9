"""Draws docs/results/*.png from the comparisons that are kept beside them.

python docs/results.py
"""

import json
import pathlib

from stochconv_jax.evidence.comparison_plots import plot_differences, plot_draws, plot_values

KEPT = pathlib.Path(__file__).with_name("results")


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


def _read(name: str) -> dict:
    return json.loads((KEPT / f"{name}.json").read_text())


if __name__ == "__main__":
    main()
