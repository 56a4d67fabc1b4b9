"""A page of what training sees, to look at before it starts."""

import pathlib

import matplotlib.figure

from stochconv_jax.data.pipeline.batches import Pipeline
from stochconv_jax.ops import images_from_planes


def save_pairs(path: pathlib.Path, pipeline: Pipeline, seed: int, count: int) -> None:
    """Draws augmented training images, each large one beside the small one made from it.

    Args:
      path: PNG to write.
      pipeline: of the run that they are for, with large images.
      seed: of the run.
      count: of images.

    Raises:
      InputError: an image is not usable, or there are too few.
    """
    batch = next(pipeline.training_batches(count, seed, first_step=0))
    large = images_from_planes(batch["image_high"])
    figure = matplotlib.figure.Figure(figsize=(2.4 * count, 5.4), layout="constrained")
    axes = figure.subplots(2, count, squeeze=False)
    for column in range(count):
        example = pipeline.dataset.examples[batch["index"][column]]
        axes[0, column].imshow(large[column])
        axes[1, column].imshow(batch["image_low"][column])
        axes[0, column].set_title(f"{example.id}\nclass {example.label}", fontsize=8)
    for axis in axes.flat:
        axis.tick_params(labelsize=6)
    axes[0, 0].set_ylabel("large image, pixels")
    axes[1, 0].set_ylabel("small image, pixels")
    figure.savefig(path, dpi=150)
