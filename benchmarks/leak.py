"""What copying rows before they are split is worth: python -m benchmarks.leak runs/leak."""

import argparse
import collections
import io
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.leak_plot import plot_leak
from stochconv_jax.atomic_write import atomic_write, read_table
from stochconv_jax.data.dataset.oversampling import known_from_training
from stochconv_jax.evaluation.estimate import (
    Estimate,
    accuracy,
    balanced_accuracy,
    group_numbers,
    mean,
    roc_auc,
)
from stochconv_jax.evidence.runs import RunRecord, read_runs
from stochconv_jax.markdown_table import markdown_table

# Rows of a class that are copies, and that are not, for its recalls to be compared.
LEAST = 20
FIGURES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "roc_auc": "ROC AUC"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Judges the runs of `configs/studies/leak.py`: two tables, leak.json and leak.png."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=pathlib.Path, help="directory of the study")
    study = parser.parse_args(arguments).study
    models: dict[str, list[RunRecord]] = collections.defaultdict(list)
    for run in read_runs([study])[0]:
        if run.judged is not None:
            models[run.model].append(run)
    leak = {
        "models": {name: protocol_figures(runs) for name, runs in models.items()},
        "recalls": {
            name: recalls(runs)
            for name, runs in models.items()
            if runs[0].config["data"]["oversample_before_split"]
        },
    }
    atomic_write(study / "leak.json", json.dumps(leak, indent=2) + "\n")
    picture = io.BytesIO()
    plot_leak(leak).savefig(picture, dpi=110, format="png")
    atomic_write(study / "leak.png", picture.getvalue())
    print(protocols_table(leak), recalls_table(leak), sep="\n\n")


def protocol_figures(runs: Sequence[RunRecord]) -> dict[str, Any]:
    """Returns the figures and recalls of a model on its protocol's rows, means over seeds."""
    groups = group_numbers(runs[0].judged.groups)
    found = collections.defaultdict(list)
    for run in runs:
        labels, scores = run.judged.labels, run.judged.scores
        decisions = scores.argmax(axis=1)
        found["accuracy"].append(accuracy(labels, decisions, groups))
        found["balanced_accuracy"].append(balanced_accuracy(labels, decisions, groups))
        found["roc_auc"].append(roc_auc(labels, scores, groups))
    return {
        "rows": len(groups),
        "groups": len(set(groups.tolist())),
        "recalls": {
            name: _recall(runs, runs[0].judged.labels == number).value
            for number, name in enumerate(runs[0].judged.classes)
        },
        **{
            name: {
                "values": [estimate.value for estimate in estimates],
                "mean": mean(estimates).value,
                "interval": mean(estimates).interval(groups),
            }
            for name, estimates in found.items()
        },
    }


def recalls(runs: Sequence[RunRecord]) -> dict[str, Any]:
    """Returns each class's recall of rows by what training knows of them, a mean over seeds.

    The last, "mean", is that of the classes with `LEAST` copies and as many other rows, if any.
    """
    judged = runs[0].judged
    kinds, groups = _kinds(_known(runs[0])), group_numbers(judged.groups)
    found: dict[str, Any] = {}
    differences = []
    for number, name in enumerate(judged.classes):
        of = judged.labels == number
        rows = {kind: int((of & own).sum()) for kind, own in kinds.items()}
        estimates = {kind: _recall(runs, of & kinds[kind]) for kind in kinds if rows[kind]}
        found[name] = dict.fromkeys(kinds) | _told(estimates, groups) | {"rows": rows}
        if min(rows["copy"], rows["other"]) >= LEAST:
            pair = estimates["copy"], estimates["other"]
            differences.append(pair)
            found[name] |= _difference(*pair, groups)
    if differences:
        copies, others = (mean(estimates) for estimates in zip(*differences, strict=True))
        told = _told({"copy": copies, "other": others}, groups)
        found["mean"] = told | _difference(copies, others, groups)
    return found


def _told(estimates: dict[str, Estimate], groups: np.ndarray) -> dict[str, Any]:
    """Values by their names, and the intervals of those of which the rows tell one."""
    values = {name: estimate.value for name, estimate in estimates.items()}
    intervals = {
        name: estimate.interval(groups)
        for name, estimate in estimates.items()
        if estimate.standard_error(groups) > 0  # nor is it where they are one group
    }
    return values | {"intervals": intervals}


def _kinds(known: np.ndarray) -> dict[str, np.ndarray]:
    return {"copy": known == "copy", "other": known != "copy", "nothing": known == "nothing"}


def _known(run: RunRecord) -> np.ndarray:
    """What training tells of each judged row."""
    rows = read_table(run.path / "images.csv")
    columns = ([row[name] for row in rows] for name in ("sha256", "group", "split"))
    known = dict(zip((row["id"] for row in rows), known_from_training(*columns), strict=True))
    return np.array([known[name] for name in run.judged.ids])


def _recall(runs: Sequence[RunRecord], own: np.ndarray) -> Estimate:
    """The recall of some rows of a class, its influence over all rows."""
    groups = group_numbers(runs[0].judged.groups)
    estimates = []
    for run in runs:
        decisions = run.judged.scores.argmax(axis=1)
        part = balanced_accuracy(run.judged.labels[own], decisions[own], groups[own])
        influence = np.zeros(len(own))
        influence[own] = part.influence
        estimates.append(Estimate(part.value, influence))
    return mean(estimates)


def _difference(copies: Estimate, others: Estimate, groups: np.ndarray) -> dict[str, Any]:
    difference = copies - others
    return {"difference": difference.value, "interval": difference.interval(groups)}


def protocols_table(leak: dict[str, Any]) -> str:
    """Returns the table of each model's figures under its protocol."""
    header = ["model", "seeds", "rows judged"]
    header += [text for name in FIGURES.values() for text in (name, "95% interval over images")]
    rows = []
    for name, figures in sorted(leak["models"].items()):
        row = [name, len(figures["accuracy"]["values"]), f"{figures['rows']:,}"]
        for figure in FIGURES:
            values = figures[figure]["values"]
            spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
            low, high = figures[figure]["interval"]
            row += [f"{figures[figure]['mean']:.3f}{spread}", f"{low:.3f} to {high:.3f}"]
        rows.append(row)
    return markdown_table(header, rows)


def recalls_table(leak: dict[str, Any]) -> str:
    """Returns the table of recalls by what training knows."""
    header = ["model", "class", "copies of training images: recall (rows)", "other rows"]
    header += ["of those, no image of the lesion trains", "copies minus others (95% interval)"]
    rows = []
    for model, classes in sorted(leak["recalls"].items()):
        for name, found in classes.items():
            counts = found.get("rows", {})
            row = [model, name]
            for kind in ("copy", "other", "nothing"):
                count = f" ({counts[kind]})" if counts else ""
                row.append("-" if found.get(kind) is None else f"{found[kind]:.3f}{count}")
            if "difference" in found:
                low, high = found["interval"]
                row.append(f"{found['difference']:+.3f} ({low:+.3f} to {high:+.3f})")
            else:
                row.append("-")
            rows.append(row)
    return markdown_table(header, rows)


if __name__ == "__main__":
    main()
