"""What of an image is kept: the whole at several sizes, windows at full detail, or both."""

from typing import NamedTuple

# What both sides of the whole image are divided by.
SHRUNK_BY = (1, 2, 4, 8, 16)
# How many windows are looked at; fewer are the first of more.
WINDOWS = (1, 4, 16)
# The image's sides, divided by a window's.
PARTS = 4
# What a frozen network makes of smaller images says more of the network than of the images: it was
# trained on images of this side.
FAMILIAR_SIDE = 224


class Input(NamedTuple):
    """One way of looking at an image.

    Attributes:
      kind: "whole", "windows" or "both".
      shrunk_by: what the whole image's sides are divided by; None where it is not looked at.
      windows: at full detail, each a quarter of each side; 0 for none.
    """

    kind: str
    shrunk_by: int | None
    windows: int

    def pixels(self, size: tuple[int, int]) -> int:
        """Returns how many pixels of an image of (height, width) a network sees, which it costs."""
        height, width = shrunk_size(size, self.shrunk_by) if self.shrunk_by else (0, 0)
        window = window_size(size)
        return height * width + self.windows * window[0] * window[1]

    @property
    def words(self) -> str:
        """Returns what it is called."""
        sizes = {None: "", 1: "whole image at full size"}
        whole = sizes.get(self.shrunk_by, f"whole image shrunk by {self.shrunk_by}")
        windows = f"{self.windows} window{'s' if self.windows > 1 else ''}" if self.windows else ""
        return " with ".join(filter(None, (whole, windows)))


INPUTS = (
    *(Input("whole", factor, 0) for factor in SHRUNK_BY),
    *(Input("windows", None, count) for count in WINDOWS),
    *(Input("both", factor, count) for factor in SHRUNK_BY[1:] for count in WINDOWS),
)


def shrunk_size(size: tuple[int, int], factor: int) -> tuple[int, int]:
    """Returns (height, width) divided by a factor and rounded, 1 or more."""
    return max(1, round(size[0] / factor)), max(1, round(size[1] / factor))


def given_size(size: tuple[int, int], factor: int) -> tuple[int, int]:
    """Returns the (height, width) at which a frozen network is given an image of `size`, shrunk.

    What was shrunk below `FAMILIAR_SIDE` is enlarged again, to full size at most: detail is lost
    and nothing else.
    """
    small = shrunk_size(size, factor)
    scale = min(FAMILIAR_SIDE, *size) / min(size)
    height, width = round(size[0] * scale), round(size[1] * scale)
    return max(small[0], height), max(small[1], width)


def window_size(size: tuple[int, int]) -> tuple[int, int]:
    """Returns (height, width) of a window of an image of `size`."""
    return max(1, size[0] // PARTS), max(1, size[1] // PARTS)
