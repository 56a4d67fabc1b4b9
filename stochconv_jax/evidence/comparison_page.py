"""The page of a comparison."""

import json
from collections.abc import Sequence
from typing import Any

from stochconv_jax.evaluation.page import as_png, render_page
from stochconv_jax.evidence import comparison_plots as plots
from stochconv_jax.evidence import comparison_tables as tables
from stochconv_jax.evidence.comparison import BEST_EPOCH
from stochconv_jax.evidence.runs import RunRecord
from stochconv_jax.runs.provenance import provenance


def write_page(
    runs: Sequence[RunRecord], comparison: dict[str, Any], left_out: Sequence[str]
) -> str:
    """Returns one self-contained HTML page about a comparison of these runs.

    Args:
      runs: as `read_runs` returns them.
      comparison: as `compare_runs` returns it.
      left_out: why some runs are not among them.
    """
    metrics = list(comparison["differences"])
    main = metrics[0]
    reference = comparison["reference"]
    judged = main != BEST_EPOCH
    by_draws = plots.plot_draws(comparison["models"])
    costs = plots.plot_costs(comparison["models"]) if judged else None
    pictures = {
        metric: (
            as_png(plots.plot_values(comparison["models"], metric)),
            as_png(plots.plot_differences(rows, metric, reference)) if rows else "",
        )
        for metric, rows in comparison["differences"].items()
    }
    return render_page(
        "stochconv_jax.evidence",
        "comparison.html.jinja",
        {
            "number": tables.number,
            "interval": tables.signed_interval,
            "p": tables.p_value,
            "called": plots.title,
        },
        comparison=comparison,
        main=main,
        judged=judged,
        pictures=pictures,
        draws=tables.draws_rows(comparison),
        draws_picture=as_png(by_draws) if by_draws else "",
        costs_picture=as_png(costs) if costs else "",
        curves={
            name: as_png(plots.plot_learning(runs, reference, name)) for name in ("auc", "loss")
        },
        published=any(not run.config for run in runs),
        provenance=json.dumps(provenance(), indent=2),
        runs=runs,
        left_out=left_out,
    )
