"""What to do about it, in sentences that say no more than the intervals do."""

from stochconv_jax.probing.inputs import PARTS, SHRUNK_BY, WINDOWS, Input, shrunk_size
from stochconv_jax.probing.measurement import FULL, Difference, Measurement

# Of ROC AUC: what may be lost without it being worth a word.
MARGIN = 0.02
# Where both branches of a network see equally many pixels: a window has the small image's size.
SMALL = Input("whole", PARTS, 0)
DRAWS = max(WINDOWS)
# Looked at in one pass; more passes, whose probabilities are averaged, make up the rest.
POOLED = 4
WITH_WINDOWS = Input("both", PARTS, DRAWS)


def advise(found: Measurement, larger: tuple[int, int] | None = None) -> list[str]:
    """Returns what to do, in a sentence, and then what it rests on, in a few.

    Windows are advised where the image shrunk by four is shown to gain by sixteen of them, and
    nowhere else; beside them stands, with its cost, an ordinary network on the smallest whole image
    that both together are not shown to beat. Otherwise an ordinary network is advised, on the
    smallest image than which no larger one is shown to be better.

    Args:
      found: what was measured.
      larger: the photographs' median (height, width), where full size was chosen below it.
    """
    if not found.tells_anything():
        return [
            "Nothing that was looked at tells these classes apart better than guessing does, so "
            "this says nothing of whether detail matters: bring more images, or train and compare."
        ]
    gain = found.difference(WITH_WINDOWS, SMALL)
    size = [_full_size(found, larger)] if larger else []
    if windows_are_advised(found):
        first = [*_try_windows(found, gain), *size]
    else:
        first = [_ordinary_will_do(found, sufficient(found), gain), *size]
    return [*first, *_evidence(found, gain)]


def windows_are_advised(found: Measurement) -> bool:
    """Returns whether the image shrunk by four is shown to gain by sixteen windows."""
    return found.tells_anything() and found.difference(WITH_WINDOWS, SMALL).low > 0


def sufficient(found: Measurement) -> Input:
    """Returns the smallest whole image than which no larger one is shown to be better."""
    enough = FULL
    for factor in SHRUNK_BY[1:]:
        candidate = Input("whole", factor, 0)
        if any(_better(found, each, candidate) for each in _larger(candidate)):
            break
        enough = candidate
    return enough


def _ordinary_will_do(found: Measurement, enough: Input, gain: Difference) -> str:
    size = _size_of(found, enough)
    if enough == FULL:
        loss = found.difference(FULL, Input("whole", 2, 0))
        return (
            f"Detail matters here: shrunk by 2, {loss} of ROC AUC is lost, and windows at full "
            f"detail are not shown to bring it back (gain {gain}); train an ordinary network on "
            f"images of {size}."
        )
    others = [*_larger(enough), WITH_WINDOWS]
    most = max(found.difference(each, enough).high for each in others)
    if most > MARGIN:
        return (
            f"Shrunk by {enough.shrunk_by} nothing is lost that shows here, though these images "
            f"cannot rule out that a larger image or windows have up to {most:.3f} more of ROC "
            f"AUC: begin with an ordinary network on images of {size}."
        )
    return (
        f"Shrunk by {enough.shrunk_by} nothing is lost that shows here: an ordinary network on "
        f"images of {size} will do."
    )


def _try_windows(found: Measurement, gain: Difference) -> list[str]:
    start = (
        f"Windows at full detail bring {gain} of ROC AUC where the image is shrunk by {PARTS}: "
        "try a network with them"
    )
    smallest_first = [Input("whole", factor, 0) for factor in reversed(SHRUNK_BY)]
    rival = next((each for each in smallest_first if not _better(found, WITH_WINDOWS, each)), None)
    if rival is None:
        lead = found.difference(WITH_WINDOWS, FULL)
        return [
            f"{start}; even over an ordinary network at full size, which sees as many pixels, they "
            f"have {lead}."
        ]
    behind = found.difference(rival, WITH_WINDOWS)
    does = "better" if behind.low > 0 else "as well, as far as these images can tell"
    return [
        f"{start}, or an ordinary network on images of {_size_of(found, rival)}, which does "
        f"{does}.",
        f"That network is ahead by {behind} and costs {_times(found, rival)} times as much as one "
        f"on the image shrunk by {PARTS}; beside that image {POOLED} pooled windows cost "
        f"{1 + POOLED} times as much, and all {DRAWS} cost {_times(found, WITH_WINDOWS)} times.",
    ]


def _evidence(found: Measurement, gain: Difference) -> list[str]:
    """Returns what was found of shrinking and of windows, whether or not it decided anything."""
    losses = [
        f"by {factor}: {found.difference(FULL, Input('whole', factor, 0))}"
        for factor in SHRUNK_BY[1:]
    ]
    told = "" if gain.low > 0 or gain.high < 0 else "; these images cannot tell it from nothing"
    return [
        f"What full size is ahead of the image shrunk {', '.join(losses)}.",
        f"What {DRAWS} windows add to the image shrunk by {PARTS}: {gain}{told}. What both "
        "together are ahead of the whole image at full size, which costs no more: "
        f"{found.difference(WITH_WINDOWS, FULL)}.",
    ]


def _full_size(found: Measurement, larger: tuple[int, int]) -> str:
    height, width = found.size
    return (
        f"Full size here is {height}x{width}; the photographs are larger (median "
        f"{larger[0]}x{larger[1]}): --size looks at more."
    )


def _larger(whole: Input) -> list[Input]:
    return [Input("whole", each, 0) for each in SHRUNK_BY if each < (whole.shrunk_by or 1)]


def _better(found: Measurement, one: Input, other: Input) -> bool:
    return found.difference(one, other).low > 0


def _size_of(found: Measurement, whole: Input) -> str:
    height, width = shrunk_size(found.size, whole.shrunk_by or 1)
    return f"{height}x{width}"


def _times(found: Measurement, looked_at: Input) -> str:
    return f"{looked_at.pixels(found.size) / SMALL.pixels(found.size):.3g}"
