"""The way of an image to its views in C++ beside that by OpenCV."""

import numpy as np
import pytest
from support import noise
from test_interpolation import turned
from test_pipeline import make_dataset

from stochconv_jax.data.pipeline import native
from stochconv_jax.data.pipeline.batches import Pipeline
from stochconv_jax.data.pipeline.interpolation import by_opencv, interpolate
from stochconv_jax.data.pipeline.native import is_built
from stochconv_jax.data.pipeline.views import empty_views, write_views
from stochconv_jax.data.pipeline.warp import Flips, Place, Rotation, Warp

pytestmark = pytest.mark.skipif(not is_built(), reason="there was no C++ compiler at installation")
# Every width of vectors is compiled; the processor's own is "AVX512" where it has that.
ISAS = ["AVX512", "AVX2", "SSE4_2"]
FLIPPED = np.array([[-1.0, 0, 70], [0, 1, 0.2903]])


def views_of(image, low_size, strides, crop_size=(0, 0), to_source=None):
    room = empty_views(1, image.shape[:2], low_size, strides, crop_size)
    views = {name: array[0] for name, array in room.items()}
    for array in views.values():
        array[:] = 77
    write_views(image, views, crop_size, to_source)
    return views


def without_native(monkeypatch):
    monkeypatch.setattr(native, "_library", lambda: None)


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name in found:
        np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("size", "low_size", "strides", "crop_size"),
    [
        ((128, 128), (28, 28), (2, 2), (0, 0)),  # halved, then by areas that are not whole
        ((128, 384), (8, 24), (2, 2), (0, 0)),  # halved to the end
        ((96, 60), (48, 30), (4, 4), (0, 0)),
        ((90, 126), (30, 42), (1, 1), (0, 0)),  # areas of whole pixels
        ((61, 83), (17, 83), (1, 1), (0, 0)),  # odd, and of one width
        ((48, 72), (48, 72), (3, 2), (0, 0)),
        ((48, 72), (7, 5), (1, 6), (0, 0)),
        ((260, 140), (10, 31), (2, 4), (200, 136)),
        ((64, 64), (9, 9), None, (33, 31)),
        ((2, 2), (1, 1), (2, 2), (0, 0)),
        ((5, 3), (2, 2), (1, 3), (0, 0)),
    ],
)
def test_views_equal_those_by_opencv(monkeypatch, isa, size, low_size, strides, crop_size):
    monkeypatch.setenv("XLA_FLAGS", f"--xla_cpu_max_isa={isa}")
    image = noise(0, *size, 3)
    found = views_of(image, low_size, strides, crop_size)
    without_native(monkeypatch)
    assert_same(found, views_of(image, low_size, strides, crop_size))


@pytest.mark.parametrize(
    ("size", "to_source"),
    [
        ((150, 201), turned(-130, 1.1, (201, 150), shift=(150, -90))),
        ((150, 201), turned(33, 7.0, (201, 150))),
        ((150, 201), turned(5, 0.1, (201, 150), shift=(2e6, -3e5))),
        ((150, 201), turned(60, 40.0, (201, 150), shift=(0.3, 0.7))),  # every pixel beside others
        ((64, 72), FLIPPED),
        ((1024, 16), turned(80, 1.0, (16, 1024))),
        ((2, 3), turned(45, 0.9, (3, 2))),
    ],
)
def test_every_width_of_vectors_gives_the_same_view(monkeypatch, size, to_source):
    image = noise(1, *size, 3)
    found = []
    for isa in ISAS:
        monkeypatch.setenv("XLA_FLAGS", f"--xla_cpu_max_isa={isa}")
        found.append(interpolate(image, to_source))
        np.testing.assert_array_equal(found[0], found[-1])
    apart = np.abs(found[0].astype(int) - by_opencv(image, to_source)[..., :3])
    # OpenCV's places are of float32, which are coarse far outside.
    far = np.abs(to_source).max() > 1e4
    assert far or (apart.max() <= 1 and (apart > 0).mean() < 0.02)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("crop_size", [(0, 0), (96, 100)])
def test_the_views_of_a_view_are_those_of_the_interpolated_image(monkeypatch, isa, crop_size):
    monkeypatch.setenv("XLA_FLAGS", f"--xla_cpu_max_isa={isa}")
    image, to_source = noise(2, 180, 132, 3), turned(20, 0.8, (132, 180), shift=(20, -9))
    found = views_of(image, (21, 23), (2, 2), crop_size, to_source)
    assert_same(found, views_of(interpolate(image, to_source), (21, 23), (2, 2), crop_size))


@pytest.mark.parametrize(
    "to_source",
    [
        np.zeros((2, 3)),
        np.full((2, 3), np.nan),
        np.full((2, 3), np.inf),
        np.full((2, 3), 1e300),
        np.full((2, 3), -1e17),
        np.array([[1e-320, 0, -1e12], [np.nan, 1e9, 1e15]]),
    ],
)
def test_no_map_leads_outside_the_image(to_source):
    image = np.full((70, 40, 3), 200, np.uint8)
    views = views_of(image, (7, 4), (2, 2), to_source=to_source)
    assert all((array == 200).all() for array in views.values())


def test_an_image_of_one_row_goes_by_opencv():
    image = noise(3, 1, 40, 3)
    assert native.native_interpolate(image, FLIPPED) is None
    assert views_of(image, (1, 20), (1, 2))["image_low"].shape == (1, 20, 3)


def test_training_without_the_library_differs_by_a_level_at_most(monkeypatch):
    dataset = make_dataset(size=(64, 96))
    transforms = (Warp((Place((48, 64)), Rotation(), Flips())),)
    pipeline = Pipeline(dataset, (16, 24), transforms=transforms, crop_size=(48, 64))
    with_it = next(pipeline.training_batches(8, seed=3, first_step=0))
    without_native(monkeypatch)
    without = next(pipeline.training_batches(8, seed=3, first_step=0))
    for name in ("image_low", "image_high"):
        apart = np.abs(with_it[name].astype(int) - without[name])
        assert apart.max() <= 1
        assert (apart > 0).mean() < 0.02
