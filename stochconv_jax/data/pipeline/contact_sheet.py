"""A page of what training sees, to look at before it starts."""

import pathlib

import matplotlib.figure

from stochconv_jax.data.pipeline.batches import Pipeline, image_of
from stochconv_jax.ops import images_from_planes


def save_pairs(path: pathlib.Path, pipeline: Pipeline, seed: int, count: int) -> None:
    """Draws training images: as they are, augmented, and the small one made from the augmented.

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
    height, width = large.shape[1:3]
    size = (2.4 * count, 3 * (2.2 * height / width + 0.4))
    figure = matplotlib.figure.Figure(figsize=size, layout="constrained")
    axes = figure.subplots(3, count, squeeze=False)
    for column in range(count):
        place = batch["index"][column]
        example = pipeline.dataset.examples[place]
        axes[0, column].imshow(image_of(pipeline.dataset.records[place]))
        axes[1, column].imshow(large[column])
        axes[2, column].imshow(batch["image_low"][column])
        axes[0, column].set_title(f"{example.id}\nclass {example.label}", fontsize=8)
    for axis in axes.flat:
        axis.tick_params(labelsize=6)
    for axis, shown in zip(axes[:, 0], ("as it is", "augmented", "small"), strict=True):
        axis.set_ylabel(f"{shown}, pixels")
    figure.savefig(path, dpi=150)
