import cv2
import numpy as np
import pytest

from configs import base
from stochconv_jax.data.pipeline.augment import transforms_from_config
from stochconv_jax.data.pipeline.color import ColorShift


@pytest.fixture
def image():
    return np.random.default_rng(1).integers(60, 190, (64, 80, 3)).astype(np.uint8)


def unaugmented():
    augment = base.get_config().data.augment
    augment.update(crop_area=(1.0, 1.0), crop_aspect=(1.0, 1.0), rotation=0.0, flips=False)
    return augment


def changed(image, seed=0, **amounts):
    """An image after one augmentation of a config alone."""
    augment = unaugmented()
    augment.update(amounts)
    out, rng = image, np.random.default_rng(seed)
    for transform in transforms_from_config(augment):
        out = transform(out, rng)
    assert out.shape == image.shape
    assert out.dtype == np.uint8
    return out.astype(float)


def test_nothing_asked_for_changes_nothing(image):
    np.testing.assert_array_equal(changed(image), image)
    assert transforms_from_config(unaugmented()) == ()


@pytest.mark.parametrize(
    "name",
    ["brightness", "contrast", "saturation", "hue", "fancy_pca", "noise", "blur", "cutout"],
)
def test_every_change_is_the_seeds(image, name):
    amount = {"noise": 10.0, "blur": 3.0, "hue": 0.2}.get(name, 0.4)
    first, again, other = (changed(image, seed, **{name: amount}) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - image).mean() > 0.5
    assert np.abs(first - other).mean() > 0.1


def test_brightness_multiplies(image):
    ratio = changed(image, brightness=0.3) / image
    assert 0.7 <= ratio.mean() <= 1.3
    assert ratio.std() < 0.01


def test_contrast_leaves_the_mean_grey_and_scales_the_distance_from_it(image):
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).mean()
    out = changed(image, contrast=0.4)
    factor = (out - grey).std() / (image - grey).std()
    np.testing.assert_allclose(out, grey + factor * (image - grey), atol=1.5)
    assert 0.6 <= factor <= 1.4
    assert abs(factor - 1) > 0.02


def test_saturation_and_hue_leave_grey_pixels_alone():
    grey = np.repeat(np.arange(0, 256, 4, np.uint8)[:, None, None], 3, axis=2).repeat(8, axis=1)
    for amounts in ({"saturation": 0.5}, {"hue": 0.3}):
        np.testing.assert_allclose(changed(grey, **amounts), grey, atol=1)


def test_a_third_of_a_turn_of_hue_makes_red_green():
    class Certain:
        """Draws the largest change."""

        def uniform(self, low, high, size=None):
            return np.full(size, high) if size else high

        def standard_normal(self, size):
            return np.zeros(size)

    red = np.full((4, 4, 3), (200, 30, 30), np.uint8)
    turned = ColorShift(hue=1 / 3)(red, Certain())
    np.testing.assert_allclose(turned[0, 0], (30, 200, 30), atol=1)


def test_noise_has_the_standard_deviation_that_was_asked_for(image):
    assert np.std(changed(image, noise=8.0) - image) == pytest.approx(8, rel=0.05)


def test_noise_whose_variance_is_drawn_has_one_between_the_two(image):
    deviations = [np.std(changed(image, n, noise=8.0, noise_least=4.0) - image) for n in range(60)]
    assert 3.8 < min(deviations) < 4.8
    assert 7.2 < max(deviations) < 8.2
    assert np.mean(np.square(deviations)) == pytest.approx((16 + 64) / 2, rel=0.15)


def test_hsv_shift_is_the_written_out_one(image):
    hue, saturation, value = np.rint(np.random.default_rng(4).uniform(-1, 1, 3) * (5, 10, 5))
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(int)
    hsv[..., 0] = (hsv[..., 0] + hue) % 180
    hsv[..., 1:] = np.clip(hsv[..., 1:] + np.array([saturation, value]), 0, 255)
    expected = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)
    np.testing.assert_array_equal(changed(image, 4, hsv_shift=(5.0, 10.0, 5.0)), expected)
    assert (expected != image).any()


def test_fancy_pca_of_the_image_adds_its_eigenvectors_by_their_eigenvalues():
    rng = np.random.default_rng(0)
    grey = rng.integers(40, 200, (50, 50, 1)) + rng.integers(-8, 9, (50, 50, 3))
    image = grey.astype(np.uint8)
    draws = np.random.default_rng(3)
    draws.uniform(size=4)
    alpha = 30 * draws.standard_normal(3)
    pixels = image.reshape(-1, 3) / 255
    centred = pixels - pixels.mean(axis=0)
    eigenvalues, vectors = np.linalg.eigh(centred.T @ centred / (len(pixels) - 1))
    added = 255 * sum(a * e * v for a, e, v in zip(alpha, eigenvalues, vectors.T, strict=True))
    expected = np.clip(np.rint(image + added), 0, 255)
    out = changed(image, 3, fancy_pca=30.0, fancy_pca_axes="image")
    np.testing.assert_allclose(out, expected, atol=1)
    assert np.abs(added).max() > 5


def test_cutout_fills_one_square_with_the_mean_colour(image):
    image[..., 0] //= 2
    out = changed(image, seed=3, cutout=0.5)
    filled = (out == np.rint(image.mean(axis=(0, 1)))).all(axis=2)
    rows, columns = np.flatnonzero(filled.any(axis=1)), np.flatnonzero(filled.any(axis=0))
    assert filled[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    assert 16 <= len(rows) <= 33
    np.testing.assert_array_equal(out[~filled], image[~filled])
