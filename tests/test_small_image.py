"""The small image that an exported program makes itself."""

import cv2
import jax
import numpy as np
import pytest
from support import noise

from stochconv_jax.data.pipeline.shrink import shrink
from stochconv_jax.exporting.small_image import small_images


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("high", "low"),
    [
        ((128, 128), (32, 32)),
        ((56, 56), (8, 8)),
        ((64, 64), (64, 64)),
        ((60, 90), (20, 30)),
        ((128, 96), (28, 28)),
        ((96, 96), (64, 48)),
    ],
)
def test_the_small_image_is_the_hosts(high, low, compiled):
    images = np.stack([noise(0, *high, 3), cv2.GaussianBlur(noise(1, *high, 3), (0, 0), 3)])
    shrunk = jax.jit(small_images, static_argnums=1) if compiled else small_images
    found = np.asarray(shrunk(images, low)).astype(int)
    apart = np.abs(found - np.stack([shrink(image, low) for image in images]))
    # XLA fuses products and sums, and rounds what is between two levels to the other one.
    assert apart.max() <= compiled
    assert (apart > 0).mean() < 0.01
