"""RandAugment's operations against Pillow's and written-out ones."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from configs import base
from stochconv_jax.data.pipeline import warp
from stochconv_jax.data.pipeline.augment import transforms_from_config
from stochconv_jax.data.pipeline.randaugment import GEOMETRY, PIXELS, WEIGHTS, RandAugment
from stochconv_jax.data.pipeline.shrink import shrink
from stochconv_jax.data.pipeline.views import derive_views
from stochconv_jax.data.pipeline.warp import Crop, Fixed, Flips, Rotation, Warp
from stochconv_jax.ops import images_from_planes

AMOUNTS = (-0.9, -0.3, 0.0, 0.5, 1.0)
ENHANCERS = {
    "color": ImageEnhance.Color,
    "contrast": ImageEnhance.Contrast,
    "brightness": ImageEnhance.Brightness,
    "sharpness": ImageEnhance.Sharpness,
}


@pytest.fixture
def image():
    """Soft structure in a part of the range, different in each channel."""
    rough = np.random.default_rng(0).integers(0, 256, (96, 128, 3)).astype(np.uint8)
    soft = cv2.GaussianBlur(rough, (0, 0), 1.5).astype(float)
    return np.rint(soft * [0.8, 0.6, 0.9] + [20, 60, 0]).astype(np.uint8)


def difference(one, other):
    return np.abs(one.astype(int) - np.asarray(other).astype(int))


@pytest.mark.parametrize("amount", AMOUNTS)
@pytest.mark.parametrize("name", ENHANCERS)
def test_enhancements_are_pillows(image, name, amount):
    expected = ENHANCERS[name](Image.fromarray(image)).enhance(1 + 0.9 * amount)
    found = PIXELS[name](image, amount)
    # Pillow leaves the rim as it is where it smooths, and cuts fractions off.
    assert difference(found, expected)[1:-1, 1:-1].max() <= 1
    assert (found == image).all() == (amount == 0)


def test_autocontrast_is_pillows(image):
    expected = ImageOps.autocontrast(Image.fromarray(image), preserve_tone=False)
    found = PIXELS["autocontrast"](image, 0.5)
    assert difference(found, expected).max() <= 1
    assert found.min(axis=(0, 1)).tolist() == [0, 0, 0]
    assert found.max(axis=(0, 1)).tolist() == [255, 255, 255]
    even = np.full((8, 8, 3), 77, np.uint8)
    np.testing.assert_array_equal(PIXELS["autocontrast"](even, 0.5), even)


def test_equalize_makes_the_distribution_even(image):
    found = PIXELS["equalize"](image, 0.5)
    for channel in range(3):
        levels = image[..., channel]
        counts = np.bincount(levels.ravel(), minlength=256)
        first = counts[levels.min()]
        cumulative = (counts.cumsum() - first) / (levels.size - first) * 255
        assert difference(found[..., channel], np.rint(cumulative)[levels]).max() <= 1


@pytest.mark.parametrize("amount", AMOUNTS)
def test_solarize_and_posterize_are_pillows(image, amount):
    pillows = Image.fromarray(image)
    solarized = ImageOps.solarize(pillows, round(256 * (1 - abs(amount)), 6))
    np.testing.assert_array_equal(PIXELS["solarize"](image, amount), np.asarray(solarized))
    posterized = ImageOps.posterize(pillows, 8 - round(4 * abs(amount)))
    np.testing.assert_array_equal(PIXELS["posterize"](image, amount), np.asarray(posterized))


def pillows_affine(name, amount, width, height):
    """The coefficients that Pillow wants, about the image's middle."""
    x, y = width / 2, height / 2
    return {
        "shear_x": (1, 0.3 * amount, -0.3 * amount * y, 0, 1, 0),
        "shear_y": (1, 0, 0, 0.3 * amount, 1, -0.3 * amount * x),
        "translate_x": (1, 0, 0.45 * amount * width, 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, 0.45 * amount * height),
    }[name]


@pytest.mark.parametrize("amount", [-0.4, 0.0, 0.3])
@pytest.mark.parametrize("name", GEOMETRY)
def test_geometry_is_pillows(image, name, amount):
    pillows = Image.fromarray(image)
    if name == "rotate":
        expected = pillows.rotate(30 * amount, Image.Resampling.BILINEAR)
    else:
        affine = pillows_affine(name, amount, 128, 96)
        expected = pillows.transform(
            pillows.size, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR
        )
    warp = Warp((Fixed(GEOMETRY[name](amount, (128, 96))),))
    found = warp(image, np.random.default_rng(0))
    # Away from what lies outside the image, which is mirrored here and black there. OpenCV
    # interpolates by 32nds of a pixel.
    inside = (slice(30, 66), slice(40, 88))
    assert difference(found[inside], np.asarray(expected)[inside]).max() <= 3
    assert (found == image).all() == (amount == 0)


def test_all_that_moves_pixels_is_one_interpolation(image, monkeypatch):
    calls, interpolate = [], warp.interpolate
    monkeypatch.setattr(warp, "interpolate", lambda *a: calls.append(1) or interpolate(*a))
    augment = base.get_config().data.augment
    augment.update(randaugment_operations=3, randaugment_weights="shape")
    (transform,) = transforms_from_config(augment)
    assert transform == RandAugment(3, 9.0, "shape", (Crop(), Rotation(), Flips()))
    for seed in range(10):
        transform(image, np.random.default_rng(seed))
    assert len(calls) == 10


@pytest.mark.parametrize("weights", WEIGHTS)
def test_operations_are_drawn_by_their_weights(weights, monkeypatch):
    counts = dict.fromkeys([*PIXELS, *GEOMETRY], 0)

    def counted(name):
        def change(*_):
            counts[name] += 1
            return np.eye(3) if name in GEOMETRY else np.zeros((4, 4, 3), np.uint8)

        return change

    for table in (PIXELS, GEOMETRY):
        for name in table:
            monkeypatch.setitem(table, name, counted(name))
    rng = np.random.default_rng(0)
    for _ in range(1000):
        RandAugment(2, 9.0, weights)(np.zeros((4, 4, 3), np.uint8), rng)
    assert sum(counts.values()) == 2000
    total = sum(WEIGHTS[weights].values())
    for name, count in counts.items():
        share = WEIGHTS[weights].get(name, 0) / total
        assert count == pytest.approx(2000 * share, abs=5 * (2000 * share) ** 0.5)


def test_shape_outweighs_colour():
    shape = WEIGHTS["shape"]
    assert sum(shape[name] for name in GEOMETRY) > 0.9 * sum(shape.values())


def test_the_same_state_gives_the_same_image_and_magnitude_0_none_but_histograms(image):
    transform = RandAugment(2, 9.0)
    one, same, other = (transform(image, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    for name in set(PIXELS) - {"autocontrast", "equalize"}:
        np.testing.assert_array_equal(PIXELS[name](image, 0.0), image)


def test_both_resolutions_see_the_same_augmented_image(image):
    augmented = RandAugment(2, 9.0)(image, np.random.default_rng(5))
    views = derive_views(augmented, (24, 32), (2, 2))
    large = images_from_planes(views["image_high"][None])[0]
    np.testing.assert_array_equal(large, augmented)
    np.testing.assert_array_equal(views["image_low"], shrink(augmented, (24, 32)))
