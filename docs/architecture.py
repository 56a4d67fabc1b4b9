"""Draws docs/architecture.png: the two branches, and the windows on a lesion.

python docs/architecture.py
"""

import pathlib

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from stochconv_jax.data.pipeline.shrink import shrink
from stochconv_jax.data.preparation.lesion_drawing import draw_lesion
from stochconv_jax.ops import sample_windows, window_size

HIGH, LOW, WINDOWS = 1024, 224, 4
# Okabe and Ito's palette, which stays apart for colour-blind readers.
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7")
DASHES = ("-", "--", "-.", ":")


def main() -> None:
    """Writes the picture beside this file."""
    image = draw_lesion(np.random.default_rng((0, 5)), HIGH, malignant=True)
    size, _ = window_size((LOW // 2, LOW // 2))
    corners = np.array(sample_windows(jax.random.key(2), 1, WINDOWS, (HIGH, HIGH), (size, size))[0])
    figure = Figure(figsize=(12, 5.4), dpi=120)
    _show_images(figure, image, corners, size)
    _draw_network(figure.add_axes((0.44, 0.0, 0.56, 1.0)))
    figure.savefig(pathlib.Path(__file__).with_name("architecture.png"))


def _show_images(figure: Figure, image: np.ndarray, corners: np.ndarray, size: int) -> None:
    low = figure.add_axes((0.02, 0.66, 0.1, 0.23))
    low.imshow(shrink(image, (LOW, LOW)))
    low.set_title(f"the whole image, {LOW}x{LOW}", fontsize=9, loc="left")
    high = figure.add_axes((0.02, 0.06, 0.22, 0.49))
    high.imshow(image)
    high.set_title(f"the same image, {HIGH}x{HIGH}", fontsize=9, loc="left")
    for number, (row, column) in enumerate(corners):
        style = {"ec": COLOURS[number], "ls": DASHES[number]}
        high.add_patch(Rectangle((column, row), size, size, fill=False, lw=2.2, **style))
        place = (0.265 + 0.085 * (number % 2), 0.32 - 0.26 * (number // 2), 0.075, 0.2)
        window = figure.add_axes(place)
        window.imshow(image[row : row + size, column : column + size])
        window.set_title(f"window {number + 1}", fontsize=8)
        window.set(xticks=[], yticks=[])
        for spine in window.spines.values():
            spine.set(edgecolor=COLOURS[number], linestyle=DASHES[number], linewidth=2.2)
    for axes in (low, high):
        axes.set(xticks=[], yticks=[])


def _draw_network(axes: Axes) -> None:
    axes.set(xlim=(0, 10), ylim=(0, 10))
    axes.axis("off")
    stems = {
        7.7: "3x3 convolution\nover the whole",
        2.6: "stochastic\nconvolution:\na window\na kernel",
    }
    for y, stem in stems.items():
        _box(axes, 0.3, y, 2.1, stem, "#DDEBF7" if y > 5 else "#FBE5D0")
        _box(axes, 3.1, y, 2.1, "EfficientNet\nstages", "#EEEEEE")
        _arrow(axes, (-5.6 if y > 5 else -0.2, y), (0.25, y))
        _arrow(axes, (2.45, y), (3.05, y))
        _arrow(axes, (5.25, y), (6.05, 5.9 if y > 5 else 4.4))
    _box(axes, 6.1, 5.15, 1.7, "join\nand dense\nlayer", "#E2F0D9")
    _arrow(axes, (7.85, 5.15), (8.5, 5.15))
    axes.text(8.6, 5.15, "probability\nof each class", va="center", fontsize=10)
    axes.text(0.3, 9.1, "global branch", fontsize=11, weight="bold")
    axes.text(0.3, 4.3, "stochastic branch", fontsize=11, weight="bold")
    axes.text(
        0.3,
        0.5,
        "New windows for every image and every pass: averaging several\n"
        "passes sees more of the image, and the global branch runs once.",
        fontsize=9,
        style="italic",
    )


def _box(axes: Axes, x: float, y: float, width: float, text: str, colour: str) -> None:
    shape = FancyBboxPatch(
        (x, y - 0.95), width, 1.9, boxstyle="round,pad=0.05", fc=colour, ec="0.4"
    )
    axes.add_patch(shape)
    axes.text(x + width / 2, y, text, ha="center", va="center", fontsize=10)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "0.3", "lw": 1.5})


if __name__ == "__main__":
    main()
