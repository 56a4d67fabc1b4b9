"""The tiles of a view beside the view as it is defined."""

import cv2
import numpy as np
import pytest
from support import noise

from stochconv_jax.data.pipeline import interpolation
from stochconv_jax.data.pipeline.interpolation import TILE, by_opencv, interpolate


def turned(degrees, scale, size, shift=(0.0, 0.0)):
    """From a view of (width, height) to its image, turned about the middle."""
    cosine, sine = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    linear = np.array([[cosine, -sine], [sine, cosine]])
    middle = (np.array(size) - 1) / 2
    return np.column_stack([linear, middle + shift - linear @ middle])


def exact_view(image, to_source):
    """Bilinear interpolation of the mirrored image in float64, not rounded to levels."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width]
    places = np.einsum("ij,jhw->ihw", to_source, np.stack([x, y, np.ones_like(x)]))
    whole = np.floor(places).astype(int)
    right, down = (places - whole)[:, ..., None]

    def mirrored(place, side):
        folded = place % (2 * (side - 1))
        return np.minimum(folded, 2 * (side - 1) - folded)

    def pixels(across, below):
        column, row = mirrored(whole[0] + across, width), mirrored(whole[1] + below, height)
        return image[row, column].astype(float)

    above = (1 - right) * pixels(0, 0) + right * pixels(1, 0)
    below = (1 - right) * pixels(0, 1) + right * pixels(1, 1)
    return (1 - down) * above + down * below


def in_one_piece(image, to_source):
    return cv2.warpAffine(
        image,
        to_source,
        image.shape[1::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )


# `interpolate` is C++ where that was built.
@pytest.mark.parametrize("form", [interpolate, by_opencv])
@pytest.mark.parametrize(
    ("size", "view"),
    [
        ((700, 601), turned(0, 1.0, (601, 700))),
        ((700, 601), turned(20, 0.8, (601, 700))),
        ((700, 601), turned(-130, 1.1, (601, 700), shift=(150, -90))),
        ((1100, 1030), turned(45, 1.0, (1030, 1100))),
        ((60, 80), turned(10, 1.3, (80, 60), shift=(70, 0))),
        ((60, 80), turned(30, 4.0, (80, 60))),
        ((700, 601), turned(30, 6.0, (601, 700))),
        ((700, 601), turned(5, 0.5, (601, 700), shift=(2000, -3000))),
    ],
)
def test_a_view_is_bilinear_of_the_mirrored_image(size, view, form):
    image = noise(0, *size, 3)
    found = form(image, view)[..., :3].astype(float)
    exact = exact_view(image, view)
    apart = np.abs(found - exact)
    # A place of float32 is off by 1e-4 of a pixel at most, a level by half of one.
    assert apart.max() < 0.6
    assert apart.mean() <= np.abs(in_one_piece(image, view) - exact).mean() + 1e-4


def test_a_view_from_far_costs_no_more_memory_than_its_image(monkeypatch):
    asked = []
    array = interpolation.SCRATCH.array

    def told(name, shape):
        asked.append(np.prod(shape))
        return array(name, shape)

    monkeypatch.setattr(interpolation.SCRATCH, "array", told)
    by_opencv(noise(0, 600, 600, 3), turned(30, 90.0, (600, 600)))
    assert max(asked) <= 4 * 4 * TILE**2
