"""Maps drawn over the photograph that they explain."""

from collections.abc import Mapping

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Blue against the class, red for it: told apart by colour-blind readers, white in the middle.
FOR_AND_AGAINST, HEAT, SEEN = "RdBu_r", "Reds", "Greys_r"
# Blocks along the longer side that a window map is shown in: single cells are as noisy as pixels.
BLOCKS = 28
TITLES = {
    "grad_cam": "Grad-CAM",
    "integrated_gradients": "integrated gradients",
    "gradient_shap": "GradientSHAP",
    "occlusion": "occlusion",
    "window_map": "windows",
}


def draw_maps(image: np.ndarray, maps: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draws the photograph, uint8 [H, W, 3], and each method's map over its grey version.

    A map's colours end at its 99th percentile. Of windows also the coverage is drawn, and what none
    of them saw is hatched.
    """
    panels = 1 + len(maps) + sum("coverage" in each for each in maps.values())
    height = 1.9 * image.shape[0] / image.shape[1] + 0.5
    figure = Figure(figsize=(2.3 * panels, height), layout="constrained")
    axes = iter(np.atleast_1d(figure.subplots(1, panels)))
    _draw_photograph(next(axes), image, "photograph")
    for name, each in maps.items():
        if "coverage" in each:
            shown, seen = blocks(each["map"], each["coverage"])
            draw_map(next(axes), image, np.where(seen > 0, shown, np.nan), TITLES[name])
            _draw_coverage(next(axes), image, each["coverage"])
        else:
            draw_map(next(axes), image, each["map"], TITLES[name])
    return figure


def blocks(attribution: np.ndarray, coverage: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns a window map in blocks of cells: attribution per look (0 if unseen), coverage."""
    size = max(attribution.shape) / BLOCKS
    shape = [max(round(side / size), 1) for side in attribution.shape]
    weights, looks = (
        cv2.resize(each.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA)
        for each in (attribution, coverage)
    )
    return np.where(looks > 0, weights / np.where(looks > 0, looks, 1), 0), looks


def strongest(values: np.ndarray) -> float:
    """Returns the 99th percentile of a map's absolute values; 1 where it is 0."""
    return float(np.nanpercentile(np.abs(values), 99, method="higher")) or 1.0


def _draw_photograph(axes: Axes, image: np.ndarray, title: str) -> None:
    axes.imshow(image)
    axes.set_title(title, fontsize=9)
    axes.set_axis_off()


def draw_map(
    axes: Axes, image: np.ndarray, values: np.ndarray, title: str, top: float | None = None
) -> None:
    """Draws a map over the image in grey.

    Args:
      axes: to draw into.
      image: uint8 [H, W, 3].
      values: [rows, columns] of any size, NaN where nothing was seen.
      title: of the panel.
      top: the value at which the colours end; that of `strongest` where None.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    extent = (0, image.shape[1], image.shape[0], 0)
    axes.imshow(grey, cmap="gray", vmin=-80, vmax=335)
    unseen = np.isnan(values)
    signed = np.nanmin(values, initial=0) < 0
    top = strongest(values) if top is None else top
    strength = np.clip(np.abs(np.nan_to_num(values)) / top, 0, 1)
    drawn = axes.imshow(
        np.nan_to_num(values),
        cmap=FOR_AND_AGAINST if signed else HEAT,
        vmin=-top if signed else 0,
        vmax=top,
        alpha=0.85 * strength**0.7,
        extent=extent,
        interpolation="nearest",
    )
    if not np.nan_to_num(values).any():
        axes.annotate(
            "nothing spoke for it",
            (0.5, 0.5),
            xycoords="axes fraction",
            ha="center",
            fontsize=8,
            backgroundcolor="white",
        )
    if unseen.any():
        whole = cv2.resize(
            unseen.astype(np.float32), image.shape[1::-1], interpolation=cv2.INTER_NEAREST
        )
        axes.contourf(whole, levels=[0.5, 1.5], colors="none", hatches=["////"])
    words = {-top: "against", 0: "0", top: "for"} if signed else {0: "0", top: "for"}
    bar = axes.figure.colorbar(drawn, ax=axes, shrink=0.7, ticks=list(words))
    if bar.solids is not None:
        bar.solids.set(alpha=1)
    bar.ax.set_yticklabels(words.values(), fontsize=7)
    axes.set_title(title, fontsize=9)
    axes.set_axis_off()


def _draw_coverage(axes: Axes, image: np.ndarray, coverage: np.ndarray) -> None:
    extent = (0, image.shape[1], image.shape[0], 0)
    drawn = axes.imshow(coverage, cmap=SEEN, vmin=0, extent=extent, interpolation="nearest")
    bar = axes.figure.colorbar(drawn, ax=axes, shrink=0.7, format="{x:.0%}")
    bar.ax.tick_params(labelsize=7)
    axes.set_title("looks that saw it", fontsize=9)
    axes.set_axis_off()
