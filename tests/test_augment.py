import numpy as np
import pytest

from stochconv_jax.data.pipeline.augment import augment, shrink


class FixedDraws:
    """A generator whose uniform draws stand where the test puts them."""

    def __init__(self, scale=1.0, angle=0.0, flips=(1, 1)):
        self.scalars = iter([scale, 0.0, angle])
        self.flips = np.array(flips)

    def uniform(self, low=0.0, high=1.0, size=None):
        return np.full(size, 0.5) if size else next(self.scalars)

    def choice(self, options, size):
        return self.flips


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)


def test_the_whole_image_unturned_is_the_image(image):
    np.testing.assert_array_equal(augment(image, FixedDraws()), image)


def test_flips_and_quarter_turns_lose_no_pixel(image):
    np.testing.assert_array_equal(augment(image, FixedDraws(flips=(-1, 1))), image[:, ::-1])
    np.testing.assert_array_equal(augment(image, FixedDraws(flips=(1, -1))), image[::-1])
    turned = augment(image, FixedDraws(angle=np.pi / 2)).astype(int)
    quarter_turns = [np.rot90(image, turns).astype(int) for turns in (1, 3)]
    assert min(np.abs(turned - other).max() for other in quarter_turns) <= 1


def test_a_crop_enlarges_the_middle(image):
    ramp = np.broadcast_to(np.linspace(0, 255, 65)[:64, None, None], (64, 64, 3))
    view = augment(ramp.astype(np.uint8), FixedDraws(scale=0.64)).astype(float)
    slope = np.diff(view[8:56, 32, 0]).mean()
    assert slope == pytest.approx(255 / 64 * 0.8, rel=0.03)
    assert view.mean() == pytest.approx(ramp.mean(), abs=1.5)


def test_a_view_is_a_function_of_the_generators_state(image):
    views = [augment(image, np.random.default_rng((0, seed))) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(views[0], views[1])
    assert (views[0] != views[2]).any()


def test_shrinking_averages_so_that_fine_texture_disappears():
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 200
    small = shrink(stripes, (112, 128))
    assert small.shape == (112, 128, 3)
    assert small.std() < 6
    assert small.mean() == pytest.approx(100, abs=2)
