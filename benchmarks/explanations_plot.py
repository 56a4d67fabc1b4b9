"""Where do a network and one that learnt nothing point? python -m benchmarks.explanations_plot.

Draws synthetic lesions with the maps of the quickstart's network and of one that was trained on
shuffled labels, whose colours end where those of the first do: docs/explanations.md.
"""

import argparse
import pathlib
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.explanations import as_shown
from benchmarks.shuffled_lesions import drawn_mask
from stochconv_jax.data.pipeline.batches import decode
from stochconv_jax.explanations.explainer import Explainer
from stochconv_jax.explanations.picture import TITLES, draw_map, strongest
from stochconv_jax.inference.photographs import FramedPhotograph
from stochconv_jax.inference.trained_network import TrainedNetwork
from stochconv_jax.runs.run import Run

METHODS = ("grad_cam", "occlusion", "window_map")
LESIONS = 3
MALIGNANT = 1
OUTLINE = "#E69F00"


def main(arguments: Sequence[str] | None = None) -> None:
    """Draws the first malignant lesions of validation and the maps of both networks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=pathlib.Path, help="directory of the quickstart's run")
    parser.add_argument("shuffled", type=pathlib.Path, help="of the run on shuffled labels")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="picture to write")
    options = parser.parse_args(arguments)
    run = Run.open(options.run)
    dataset = run.load_dataset()
    places = dataset.indices("validation")
    chosen = places[dataset.labels[places] == MALIGNANT][:LESIONS]
    photographs = [
        FramedPhotograph(dataset.examples[place].id, dataset.records[place]["image"], int(place))
        for place in chosen
    ]
    masks = [drawn_mask(dataset.examples[place], dataset.framing.size[0]) for place in chosen]
    explained = {
        told: Explainer.of_run(TrainedNetwork.restore(Run.open(directory)), METHODS).explain(
            photographs, [MALIGNANT] * LESIONS
        )
        for told, directory in (("", options.run), (", shuffled labels", options.shuffled))
    }
    columns = [(told, method) for told in explained for method in METHODS]
    figure = Figure(figsize=(2.2 * (1 + len(columns)), 1.9 * LESIONS), layout="constrained")
    grid = figure.subplots(LESIONS, 1 + len(columns), squeeze=False)
    for row, (photograph, mask) in enumerate(zip(photographs, masks, strict=True)):
        image = decode(photograph.jpeg)
        found = {told: next(maps) for told, maps in explained.items()}
        grid[row, 0].imshow(image)
        grid[row, 0].set_title("lesion, outlined", fontsize=9)
        for axes, (told, method) in zip(grid[row, 1:], columns, strict=True):
            shown = as_shown(found[told][method])
            top = strongest(as_shown(found[""][method]))
            draw_map(axes, image, shown, TITLES[method] + told, top)
        for axes in grid[row]:
            _outline(axes, mask)
    figure.savefig(options.output, dpi=110)


def _outline(axes: Axes, mask: np.ndarray) -> None:
    axes.contour(mask, levels=[0.5], colors=OUTLINE, linewidths=1.2)
    axes.set_axis_off()


if __name__ == "__main__":
    main()
