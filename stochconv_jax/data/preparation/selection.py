"""Which images are kept, under which label, and which belong together.

Rows that show one picture (the same name, the same bytes, or nearly the same looks) are merged: the
file with the most pixels is kept, and each column is filled from the latest source that fills it,
since later challenges corrected earlier ones. Rows of one source that contradict each other on the
target are all left out.
"""

import collections
import pathlib
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from stochconv_jax.data.dataset.manifest import ManifestRow
from stochconv_jax.data.dataset.metadata import stated
from stochconv_jax.data.framing import Framing
from stochconv_jax.data.preparation.inspection import Inspection, near_pairs
from stochconv_jax.data.preparation.photograph import Photograph

_DOWNSAMPLED = "_downsampled"
_UNSEEN = Inspection(0, 0, "", "", 0.0)
_MERGED = ("dx", "dx7", "lesion_id", "patient_id", "age", "sex", "site", "split")


def select(
    photographs: Sequence[Photograph],
    inspections: Mapping[pathlib.Path, Inspection] | None,
    framing: Framing,
    distance: int,
) -> list[ManifestRow]:
    """Decides on every row.

    Args:
      photographs: rows of all tables, the oldest source first.
      inspections: of every path; None to judge by the tables alone.
      framing: says which images are too small.
      distance: bits of 256 in which near-duplicates differ at most; negative to look for none.

    Returns:
      A manifest row for each photograph, in the same order; its split as the table gives it.
    """
    found = [
        inspections[photograph.path] if inspections and photograph.path else _UNSEEN
        for photograph in photographs
    ]
    problems = [
        _problem(photograph, inspection, framing) if inspections is not None else ""
        for photograph, inspection in zip(photographs, found, strict=True)
    ]
    pictures = _pictures(photographs, found, distance)
    groups = _groups(photographs, pictures)
    members = collections.defaultdict(list)
    for number, picture in enumerate(pictures):
        members[picture].append(number)
    sources = dict.fromkeys(photograph.source for photograph in photographs)
    ranks = {source: rank for rank, source in enumerate(sources)}
    rows: list[ManifestRow] = [ManifestRow("", "", "")] * len(photographs)
    for numbers in members.values():
        latest_first = sorted(numbers, key=lambda n: -ranks[photographs[n].source])
        for number, row in _merge(latest_first, photographs, found, problems).items():
            rows[number] = row._replace(group=groups[number])
    return rows


def _problem(photograph: Photograph, inspection: Inspection, framing: Framing) -> str:
    if photograph.path is None:
        return "no such file"
    if inspection.problem:
        return inspection.problem
    if framing.too_small(inspection.width, inspection.height):
        height, width = framing.minimum
        return f"smaller than {width}x{height} pixels"
    return ""


def _merge(
    latest_first: list[int],
    photographs: Sequence[Photograph],
    found: Sequence[Inspection],
    problems: Sequence[str],
) -> dict[int, ManifestRow]:
    """Returns the rows of one picture, of which one at most is kept."""
    rows = {number: _row(photographs[number], found[number]) for number in latest_first}
    usable = [number for number in latest_first if not problems[number]]
    labelled = [photographs[n] for n in latest_first if photographs[n].target]
    target = labelled[0].target if labelled else ""
    contradicting = {p.target for p in labelled if p.source == labelled[0].source}
    for number in latest_first:
        rows[number] = rows[number]._replace(reason=problems[number])
    if not target or len(contradicting) > 1:
        reason = (
            f"rows of {labelled[0].source} give this picture the targets "
            + " and ".join(sorted(contradicting))
            if labelled
            else "no target"
        )
        for number in usable:
            rows[number] = rows[number]._replace(reason=reason)
        return rows
    if not usable:
        return rows
    keeper = max(usable, key=lambda n: _pixels(found[n]))  # the latest of the largest
    for number in usable:
        likeness = _likeness(photographs, found, number, keeper)
        rows[number] = rows[number]._replace(reason=likeness)
    filled = {
        name: next(filter(None, (_said(photographs[n], name) for n in latest_first)), "")
        for name in _MERGED
    }
    more = {
        name: next(
            filter(None, (stated(photographs[n].more.get(name, "")) for n in latest_first)), ""
        )
        for name in dict.fromkeys(name for n in latest_first for name in photographs[n].more)
    }
    remarks = [found[keeper].remark] if found[keeper].remark else []
    said = {p.source: p.target for p in reversed(labelled)}
    if len(set(said.values())) > 1:
        listed = ", ".join(f"{value} in {source}" for source, value in said.items())
        remarks.append(f"target {listed}: {target} taken")
    rows[keeper] = rows[keeper]._replace(
        target=target, kept="yes", reason="; ".join(remarks), **filled, more=more
    )
    return rows


def _row(photograph: Photograph, inspection: Inspection) -> ManifestRow:
    known = {name: getattr(photograph, name) for name in ("id", "source", "target")}
    known |= {name: _said(photograph, name) for name in _MERGED}
    size = {"width": str(inspection.width), "height": str(inspection.height)}
    more = {name: stated(value) for name, value in photograph.more.items()}
    size = size if inspection.width else {}
    return ManifestRow(**known, **size, sha256=inspection.sha256, more=more)


def _said(photograph: Photograph, name: str) -> str:
    return stated(getattr(photograph, name))


def _likeness(
    photographs: Sequence[Photograph],
    found: Sequence[Inspection],
    number: int,
    keeper: int,
) -> str:
    """Returns in which way a row shows the picture of another."""
    one, other = photographs[number], photographs[keeper]
    place = f"{other.id} of {other.source}"
    if base_id(one.id) == base_id(other.id):
        return f"the same image as {place}"
    if one.picture and one.picture == other.picture:
        return f"listed by its source as a duplicate of {place}"
    mine, theirs = found[number], found[keeper]
    if mine.sha256 == theirs.sha256:
        return f"the same bytes as {place}"
    apart = (int(mine.perceptual_hash, 16) ^ int(theirs.perceptual_hash, 16)).bit_count()
    return f"nearly the same as {place} ({apart} of 256 bits differ)"


def _pixels(inspection: Inspection) -> int:
    return inspection.width * inspection.height


def base_id(name: str) -> str:
    """Returns an image's name without what ISIC 2019 adds to that of a smaller copy."""
    return name.removesuffix(_DOWNSAMPLED)


def _pictures(
    photographs: Sequence[Photograph], found: Sequence[Inspection], distance: int
) -> np.ndarray:
    """Returns [rows] numbers, equal where rows show the same picture."""
    keys: list[list[Hashable]] = []
    for photograph, inspection in zip(photographs, found, strict=True):
        keys.append([("id", base_id(photograph.id))])
        if photograph.picture:
            keys[-1].append(("picture", photograph.picture))
        if inspection.sha256 and not inspection.problem:
            keys[-1].append(("bytes", inspection.sha256))
    hashed = [n for n, inspection in enumerate(found) if inspection.perceptual_hash]
    # Files of one content have one hash, so that each is compared once.
    first = {found[n].sha256: n for n in reversed(hashed)}
    alike = list(first.values())
    if distance >= 0:
        hashes = [found[n].perceptual_hash for n in alike]
        for pair in near_pairs(hashes, distance):
            for index in pair:
                keys[alike[index]].append(("alike", pair))
    return _components(keys)


def _groups(photographs: Sequence[Photograph], pictures: np.ndarray) -> list[str]:
    """Returns the group of each row, named by its first patient, lesion, given group or image."""
    names = ("patient_id", "lesion_id", "group")
    keys: list[list[Hashable]] = [[("picture", int(picture))] for picture in pictures]
    for row, photograph in zip(keys, photographs, strict=True):
        row += [(name, getattr(photograph, name)) for name in names if getattr(photograph, name)]
    components = _components(keys)
    candidates: dict[int, list[str]] = {}
    for component, photograph in zip(components, photographs, strict=True):
        best = candidates.setdefault(int(component), ["", "", "", photograph.id])
        for place, name in enumerate(names):
            best[place] = best[place] or getattr(photograph, name)
    named: dict[int, str] = {}
    taken: set[str] = set()
    for component, best in candidates.items():
        name = next(filter(None, best))
        # A patient and a lesion of other images may have one name.
        named[component] = f"{name} ({component})" if name in taken else name
        taken.add(name)
    return [named[int(component)] for component in components]


def _components(keys: Sequence[Sequence[Hashable]]) -> np.ndarray:
    """Returns [rows] numbers, equal for rows that share a key, directly or by way of others."""
    number: dict[Hashable, int] = {}
    pairs = [
        (row, len(keys) + number.setdefault(key, len(number)))
        for row, row_keys in enumerate(keys)
        for key in row_keys
    ]
    rows, columns = np.array(pairs).T
    nodes = len(keys) + len(number)
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(nodes, nodes))
    return connected_components(graph, directed=False)[1][: len(keys)]
