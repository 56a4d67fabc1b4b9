"""What a network sees of an image, beside the readable form of its planes."""

import cv2
import numpy as np
import pytest
from support import noise
from test_pipeline import make_dataset

from stochconv_jax.data.pipeline.batches import Pipeline, decode
from stochconv_jax.data.pipeline.shrink import shrink
from stochconv_jax.data.pipeline.views import derive_views
from stochconv_jax.data.pipeline.warp import Warp
from stochconv_jax.keys import Purpose, generator
from stochconv_jax.ops import polyphase


@pytest.mark.parametrize("crop_size", [(0, 0), (24, 36)])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (4, 4), (3, 2), (1, 6)])
def test_planes_are_those_of_the_readable_form(strides, crop_size):
    image = noise(0, 48, 72, 3)
    seen = image[12:36, 18:54] if any(crop_size) else image
    # The fourth channel that an interpolation leaves is not looked at.
    for each in (image, np.dstack([image, noise(1, 48, 72, 1)])):
        views = derive_views(each, (6, 9), strides, crop_size)
        np.testing.assert_array_equal(views["image_high"], polyphase(seen, strides))
        np.testing.assert_array_equal(views["image_low"], shrink(seen, (6, 9)))
    assert set(derive_views(image, (6, 9), None)) == {"image_low"}


@pytest.mark.parametrize("low_size", [(48, 72), (24, 36), (20, 30), (9, 13)])
def test_a_fourth_channel_changes_no_pixel_of_the_small_image(low_size):
    image = cv2.GaussianBlur(noise(0, 48, 72, 3), (0, 0), 1)
    np.testing.assert_array_equal(
        shrink(np.dstack([image, noise(1, 48, 72, 1)]), low_size), shrink(image, low_size)
    )


def test_a_training_batch_holds_the_views_of_the_warped_images():
    dataset = make_dataset(size=(64, 96))
    pipeline = Pipeline(dataset, (16, 24), transforms=(Warp(),))
    batch = next(pipeline.training_batches(8, seed=3, first_step=0))
    for row, index in enumerate(batch["index"]):
        rng = generator(3, Purpose.VIEW, 0, int(index), 0)
        view = Warp()(decode(dataset.records[index]["image"]), rng)
        np.testing.assert_array_equal(batch["image_high"][row], polyphase(view, (2, 2)))
        np.testing.assert_array_equal(batch["image_low"][row], shrink(view, (16, 24)))
