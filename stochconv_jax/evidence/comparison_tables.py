"""The tables of a comparison, in Markdown."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from stochconv_jax.evidence.comparison import BEST_EPOCH
from stochconv_jax.markdown_table import markdown_table


def number(value: float | None, digits: int = 4) -> str:
    """Writes a number, a dash where there is none."""
    return f"{value:,.{digits}f}" if value is not None and np.isfinite(value) else "-"


def signed_interval(limits: Sequence[float] | None, digits: int = 4) -> str:
    """Writes an interval of differences."""
    if limits is None or None in limits or not np.isfinite(limits[0]):
        return "-"
    return f"{limits[0]:+.{digits}f} to {limits[1]:+.{digits}f}"


def p_value(value: float | None) -> str:
    """Writes a p-value with three decimals."""
    if value is None or not np.isfinite(value):
        return "-"
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def models_table(comparison: dict[str, Any]) -> str:
    """Returns a row per model: its metrics and its cost."""
    judged = BEST_EPOCH not in comparison["differences"]
    header = ["model", "runs"]
    if judged:
        header += [
            "ROC AUC over seeds",
            "95% interval over images",
            "balanced accuracy (most probable class)",
        ]
        header += ["gain of averaging draws (95% interval over images)", "parameters"]
        header += ["GFLOPs of one draw", "images/s", "MB per step"]
    else:
        header += ["best epoch's validation AUC", "best run", "final epoch"]
    rows = []
    for name, model in comparison["models"].items():
        row = [name, str(model["runs"])]
        if judged:
            low, high = model["roc_auc"]["interval_over_images"]
            gain = model["by_draws"][-1] if "by_draws" in model else None
            row += [_spread(model["roc_auc"]), f"{number(low)} to {number(high)}"]
            row += [_spread(model["balanced_accuracy"])]
            row += [_gain(gain) if gain else "-"]
            row += [number(model.get("parameters"), 0), number(model.get("gigaflops"), 3)]
            row += [number(model["images_per_second"], 0), number(model.get("step_megabytes"), 0)]
        else:
            best = model[BEST_EPOCH]
            row += [_spread(best), number(best["best"]), number(model["final_epoch_auc"]["mean"])]
        rows.append(row)
    return markdown_table(header, rows)


def draws_table(comparison: dict[str, Any]) -> str:
    """Returns a row per model with windows: its ROC AUC by draws averaged; "" if there is none."""
    header, *rows = draws_rows(comparison)
    return markdown_table(header, rows) if rows else ""


def draws_rows(comparison: dict[str, Any]) -> list[list[str]]:
    """Returns the cells of that table, the header first."""
    found = {
        name: {point["draws"]: point["roc_auc"] for point in model["by_draws"]}
        for name, model in comparison["models"].items()
        if "by_draws" in model
    }
    counts = sorted({count for areas in found.values() for count in areas})
    header = ["ROC AUC", *(f"{count} draw{'s' if count > 1 else ''}" for count in counts)]
    return [
        header,
        *([name, *(number(areas.get(count)) for count in counts)] for name, areas in found.items()),
    ]


def differences_table(comparison: dict[str, Any], metric: str) -> str:
    """Returns a row per model: the difference of a metric from the reference's, and its chance."""
    judged = metric != BEST_EPOCH
    header = [f"minus {comparison['reference']}", "difference"]
    header += ["95% interval over images", "p (Holm)"] if judged else []
    header += ["95% interval over seeds", "p (Holm)", "Hedges' g"]
    rows = []
    for row in comparison["differences"][metric]:
        cells = [row["model"], f"{row['difference']:+.4f}"]
        if judged:
            cells += [signed_interval(row["interval_over_images"])]
            cells += [p_value(row.get("p_over_images_holm"))]
        cells += [signed_interval(row.get("interval_over_seeds"))]
        cells += [p_value(row.get("p_over_seeds_holm")), number(row.get("hedges_g"), 1)]
        rows.append(cells)
    return markdown_table(header, rows)


def _gain(point: dict[str, Any]) -> str:
    return f"{point['gain']:+.4f} ({signed_interval(point['gain_interval_over_images'])})"


def _spread(found: dict[str, Any]) -> str:
    deviation = found["sd"]  # None in JSON, where there is one value only
    known = deviation is not None and np.isfinite(deviation)
    return number(found["mean"]) + (f" ± {number(deviation)}" if known else "")
