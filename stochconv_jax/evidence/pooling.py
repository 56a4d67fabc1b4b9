"""The runs of each model and seed, and what they predicted together."""

from collections.abc import Sequence

import numpy as np

from stochconv_jax.errors import InputError
from stochconv_jax.evaluation import estimate
from stochconv_jax.evidence.runs import Judged, RunRecord


def by_seed(runs: Sequence[RunRecord]) -> dict[tuple[str, str], list[RunRecord]]:
    """Returns the runs of each model and seed: one, or one per fold."""
    found: dict[tuple[str, str], list[RunRecord]] = {}
    for run in runs:
        found.setdefault((run.model, run.seed), []).append(run)
    return found


def pool(runs: Sequence[RunRecord]) -> Judged:
    """Returns the predictions of one seed's folds together.

    Raises:
      InputError: an image was judged twice, or a class has none.
    """
    parts = [run.judged for run in runs if run.judged]
    ids = [name for part in parts for name in part.ids]
    order = sorted(range(len(ids)), key=ids.__getitem__)
    if len(set(ids)) < len(ids):
        names = ", ".join(str(run.path) for run in runs)
        raise InputError(f"{names} judge the same images with the same seed; leave all but one out")
    labels = np.concatenate([part.labels for part in parts])[order]
    classes = parts[0].classes
    for number, name in enumerate(classes):
        if number not in labels:
            raise InputError(
                f"{runs[0].path} was evaluated on no image of the class {name!r}, without which "
                "there is no ROC curve; evaluate a split with every class"
            )
    groups = [name for part in parts for name in part.groups]
    return Judged(
        tuple(ids[number] for number in order),
        tuple(groups[number] for number in order),
        labels,
        np.concatenate([part.scores for part in parts])[order],
        np.concatenate([part.draws for part in parts])[order],
        classes,
        parts[0].split,
        parts[0].checkpoint,
    )


def common_groups(runs: Sequence[RunRecord]) -> np.ndarray:
    """Returns int [N], the groups of the images that all were judged on; empty where none was.

    Raises:
      InputError: they were judged on other images, labels, splits or checkpoints.
    """
    if not all(run.judged for run in runs):
        return np.zeros(0, int)
    all_judged = {key: pool(own) for key, own in by_seed(runs).items()}
    (model, seed), first = next(iter(all_judged.items()))
    for (other, other_seed), found in all_judged.items():
        one, two = f"{model} ({seed})", f"{other} ({other_seed})"
        if found.ids != first.ids:
            raise InputError(
                f"{one} and {two} were evaluated on other images ({len(first.ids)} and "
                f"{len(found.ids)}, {len(set(first.ids) & set(found.ids))} of them the same); "
                "compare runs on one split of one data set"
            )
        if found.classes != first.classes or (found.labels != first.labels).any():
            raise InputError(f"{one} and {two} were evaluated on other labels of the same images")
        if (found.split, found.checkpoint) != (first.split, first.checkpoint):
            raise InputError(
                f"of {one} the {first.checkpoint} checkpoint was evaluated on {first.split}, of "
                f"{two} the {found.checkpoint} one on {found.split}; evaluate them alike"
            )
    return estimate.group_numbers(first.groups)
