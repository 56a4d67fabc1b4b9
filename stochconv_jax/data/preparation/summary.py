"""What a preparation did, in words and tables."""

import collections
from collections.abc import Sequence

import numpy as np

from stochconv_jax.data.dataset.image_dataset import Example, shared_groups
from stochconv_jax.data.dataset.manifest import ManifestRow
from stochconv_jax.data.dataset.splits import resolve_splits
from stochconv_jax.data.preparation.preparation import Plan, Splitting
from stochconv_jax.data.preparation.selection import base_id
from stochconv_jax.data.preparation.shortcuts import NOTABLE, shortcut_aucs
from stochconv_jax.errors import InputError
from stochconv_jax.markdown_table import markdown_table

LISTED = 20
_CONTRADICTION = "this picture the targets"
_KINDS = {
    "the same image as": "the same name as another",
    "the same bytes as": "the same bytes as another",
    "nearly the same as": "nearly the same as another",
    "listed by its source": "listed by its source as a duplicate",
    "damaged": "damaged",
    "not an image": "not an image",
    "cannot be read": "cannot be read",
}


def summarize(plan: Plan, classes: Sequence[str], splitting: Splitting, seconds: float) -> str:
    """Returns a preparation's summary in Markdown.

    Args:
      plan: what was done.
      classes: names of the classes; of two, the second is the positive one.
      splitting: how the images were divided.
      seconds: that it took.
    """
    kept = plan.kept
    parts = [
        f"# {len(kept)} of {len(plan.rows)} images kept",
        _by_reason(plan),
        _recurring(plan.rows),
        _by_source_and_split(kept, classes),
        _groups(kept, splitting),
        _contradictions(plan.rows),
        _shortcuts(plan, classes),
        f"{seconds:.1f} s, {1e3 * seconds / len(plan.rows):.1f} ms per image.",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def describe_dropped(rows: Sequence[ManifestRow]) -> str:
    """Returns how many rows were left out for which reason, with some of their names, or ""."""
    names = collections.defaultdict(list)
    for row in rows:
        if row.kept == "no":
            names[_kind(row.reason)].append(row.id)
    return "; ".join(
        f"{len(found)} ({reason}): {', '.join(found[:3])}{', ...' if len(found) > 3 else ''}"
        for reason, found in names.items()
    )


def contradicted(rows: Sequence[ManifestRow]) -> int:
    """Returns how many rows were left out because their picture has rows of several classes."""
    return sum(row.kept == "no" and _CONTRADICTION in row.reason for row in rows)


def _kind(reason: str) -> str:
    return next((kind for start, kind in _KINDS.items() if reason.startswith(start)), reason)


def _by_reason(plan: Plan) -> str:
    dropped = [row for row in plan.rows if row.kept == "no"]
    if not dropped:
        return ""
    counts = collections.Counter(_kind(row.reason) for row in dropped)
    text = markdown_table(
        ["left out because", "images"], [[*item] for item in counts.most_common()]
    )
    problems = {found.problem for found in plan.inspections.values()} - {""}
    unusable = [
        f"{row.id} ({row.source}): {row.reason}" for row in dropped if row.reason in problems
    ]
    return text + _list("\n\nFiles that cannot be used:", unusable)


def _recurring(rows: Sequence[ManifestRow]) -> str:
    ids = collections.defaultdict(set)
    for row in rows:
        ids[row.source].add(base_id(row.id))
    if len(ids) < 2:
        return ""
    table = [[one, *(len(ids[one] & ids[other]) for other in ids)] for one in ids]
    return markdown_table(["images of ... that are also in", *ids], table)


def _by_source_and_split(kept: Sequence[ManifestRow], classes: Sequence[str]) -> str:
    splits = list(dict.fromkeys(sorted(row.split for row in kept)))
    sources = list(dict.fromkeys(row.source for row in kept))
    counts = collections.Counter((row.source, row.split, row.target) for row in kept)
    told = classes[-1:] if len(classes) == 2 else classes

    def cell(source: str | None, split: str) -> str:
        names = sources if source is None else [source]
        numbers = {t: sum(counts[name, split, t] for name in names) for t in classes}
        return f"{sum(numbers.values())} ({', '.join(str(numbers[t]) for t in told)})"

    rows = [[source, *(cell(source, split) for split in splits)] for source in sources]
    if len(sources) > 1:
        rows.append(["all", *(cell(None, split) for split in splits)])
    header = f"images ({', '.join(told)})" if len(classes) > 2 else f"images (of class {told[0]})"
    return markdown_table([header, *(split or "split at training" for split in splits)], rows)


def _groups(kept: Sequence[ManifestRow], splitting: Splitting) -> str:
    groups = [row.group for row in kept]
    sizes = collections.Counter(groups)
    several = [group for group, size in sizes.items() if size > 1]
    text = (
        f"{len(sizes)} groups, {len(several)} of several images, the largest of "
        f"{max(sizes.values())}."
    )
    crossing = shared_groups(groups, [row.split for row in kept])
    if crossing:
        text += (
            f" {len(crossing)} groups stand in more than one split: training on these splits is "
            "refused unless data.allow_shared_groups is set."
        )
    elif any(row.split for row in kept) and several:
        alone = [Example(row.id, row.target, str(place), "") for place, row in enumerate(kept)]
        try:
            by_image = resolve_splits(alone, fold=0, drawing=splitting.drawing)
        except InputError:  # too few images of a class to divide otherwise than the table does
            return text
        would = set(shared_groups(groups, by_image))
        held = [g for g, split in zip(groups, by_image, strict=True) if split != "train"]
        share = np.mean([group in would for group in held])
        text += (
            f" No group stands in two splits; divided by image, {len(would)} would, and "
            f"{100 * share:.0f}% of the held out images would share a group with training."
        )
    return text


def _contradictions(rows: Sequence[ManifestRow]) -> str:
    notes = [
        f"{row.id}: {row.reason}"
        for row in rows
        if "taken" in row.reason or _CONTRADICTION in row.reason
    ]
    return _list("Contradicting targets:", notes)


def _shortcuts(plan: Plan, classes: Sequence[str]) -> str:
    training = [row for row in plan.kept if row.split not in ("validation", "test", "fold_0")]
    borders = {found.sha256: found.border for found in plan.inspections.values()}
    aucs = shortcut_aucs(training, borders, classes)
    if not aucs:
        return ""
    rows = [
        [
            name,
            f"{auc:.3f}",
            label,
            f"{0.5 + NOTABLE:.1f} or more: a network could learn this"
            if auc >= 0.5 + NOTABLE
            else "",
        ]
        for name, (auc, label) in aucs.items()
    ]
    intro = "What tells the class without looking at the picture, on the training split:"
    return f"{intro}\n\n" + markdown_table(["known of an image", "AUC", "class", ""], rows)


def _list(title: str, items: Sequence[str]) -> str:
    if not items:
        return ""
    more = [f"and {len(items) - LISTED} more"] if len(items) > LISTED else []
    return "\n".join([f"{title}\n", *(f"- {item}" for item in [*items[:LISTED], *more])])
