"""The page of a probe, and its table."""

import json
from collections.abc import Sequence

from stochconv_jax.evaluation.page import render_page
from stochconv_jax.markdown_table import markdown_table
from stochconv_jax.probing.advice import MARGIN
from stochconv_jax.probing.classifier import FOLDS, INNER_FOLDS, STRENGTHS
from stochconv_jax.probing.inputs import FAMILIAR_SIDE, Input, window_size
from stochconv_jax.probing.measurement import FULL, Measurement
from stochconv_jax.runs.provenance import provenance

HEADER = ("input", "pixels", "ROC AUC", "95% interval", "minus full size", "gain of windows")


def results_table(found: Measurement) -> str:
    """Returns the table of all inputs in Markdown."""
    return markdown_table(HEADER, _cells(found))


def write_page(
    found: Measurement,
    advice: Sequence[str],
    commands: Sequence[str],
    picture: str,
    left_out: Sequence[str],
    weights: str,
) -> str:
    """Returns one self-contained HTML page.

    Args:
      found: what was measured.
      advice: sentences, the most important one first.
      commands: that train what is advised.
      picture: of the same, a PNG in base64.
      left_out: why some images are not among those looked at.
      weights: name or file of the network's weights.
    """
    return render_page(
        "stochconv_jax.probing",
        "probe.html.jinja",
        {},
        found=found,
        images=len(found.groups),
        groups=len(set(found.groups.tolist())),
        advice=advice,
        commands=commands,
        picture=picture,
        header=HEADER,
        rows=_cells(found),
        left_out=left_out,
        weights=weights,
        window=window_size(found.size),
        folds=FOLDS,
        inner_folds=INNER_FOLDS,
        strengths=STRENGTHS,
        margin=MARGIN,
        familiar_side=FAMILIAR_SIDE,
        provenance=json.dumps(provenance(), indent=2),
    )


def _cells(found: Measurement) -> list[list[str]]:
    rows = []
    for each, estimate in found.estimates.items():
        low, high = found.interval(each)
        alone = Input("whole", each.shrunk_by, 0)
        rows.append(
            [
                each.words,
                f"{each.pixels(found.size):,}",
                f"{estimate.value:.3f}",
                f"{low:.3f} to {high:.3f}",
                "" if each == FULL else str(found.difference(each, FULL)),
                str(found.difference(each, alone)) if each.kind == "both" else "",
            ]
        )
    return rows
