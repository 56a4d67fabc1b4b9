"""The mean and deviation of each colour over the images that train."""

import math

import numpy as np
from tqdm import tqdm

from stochconv_jax.data.pipeline.batches import Pipeline
from stochconv_jax.errors import InputError

COLOURS = ("red", "green", "blue")
Three = tuple[float, float, float]


def channel_statistics(pipeline: Pipeline, batch_size: int = 32) -> tuple[Three, Three]:
    """Returns the mean and the deviation of x / 255 over all pixels of the small training images.

    deviation^2 = mean of squares - square of mean. Both sums are whole numbers, so that neither
    the order of the images nor `batch_size` changes a bit.

    Raises:
      InputError: a colour is the same in every pixel.
    """
    pixels, sums, squares = 0, np.zeros(3, np.int64), np.zeros(3, np.int64)
    count = -(-len(pipeline.dataset.indices("train")) // batch_size)
    batches = pipeline.evaluation_batches("train", batch_size)
    for batch in tqdm(batches, "measuring pixels", count, unit="batch", leave=False):
        values = batch["image_low"][batch["mask"]].astype(np.int32).reshape(-1, 3)
        pixels += len(values)
        sums += values.sum(axis=0, dtype=np.int64)
        squares += (values**2).sum(axis=0, dtype=np.int64)
    found = [
        (total / pixels / 255, math.sqrt(pixels * square - total**2) / pixels / 255)
        for total, square in zip(sums.tolist(), squares.tolist(), strict=True)
    ]
    for colour, (_, deviation) in zip(COLOURS, found, strict=True):
        if not deviation:
            raise InputError(
                f"{colour} is the same in every pixel of the training images, so that their "
                "deviation is 0; take another model.pixels than 'dataset'"
            )
    means, deviations = zip(*found, strict=True)
    return means, deviations
