"""Windows and convolutions of any shape against the plain forms, with their gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jax import lax

from benchmarks.readable_stochastic_conv import readable_stochastic_conv
from stochconv_jax.ops import (
    depthwise_conv,
    output_size,
    patch_conv,
    polyphase,
    sample_windows,
    stochastic_conv,
    stochastic_conv_polyphase,
    window_size,
)

PAIRS = st.tuples
SMALL, STRIDES = st.integers(1, 5), st.integers(1, 3)
PADDINGS = st.sampled_from(["SAME", "SYMMETRIC", "VALID"]) | PAIRS(
    PAIRS(st.integers(0, 3), st.integers(0, 3)), PAIRS(st.integers(0, 3), st.integers(0, 3))
)

# How windows are drawn: axes, then placement.
HOW = [("independent", "independent"), ("diagonal", "independent"), ("independent", "even")]


def assert_alike(actual, expected, tolerance=1e-3):
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        np.testing.assert_allclose(
            one.astype(np.float32), other.astype(np.float32), rtol=tolerance, atol=tolerance
        )


def value_and_gradients(conv, images, kernel):
    """Returns what a convolution gives, and the gradients of a sum in what is floating point."""

    def loss(images, kernel):
        out = conv(images, kernel)
        return jnp.sin(out.astype(jnp.float32)).sum(), out

    wanted = (0, 1) if jnp.issubdtype(images.dtype, jnp.floating) else 1
    return jax.jit(jax.grad(loss, wanted, has_aux=True))(images, kernel)


@st.composite
def stochastic_cases(draw):
    """Images with windows inside: some of them as large as the image, none of them aligned."""
    kernel_size, strides = draw(PAIRS(SMALL, SMALL)), draw(PAIRS(STRIDES, STRIDES))
    output, more = draw(PAIRS(SMALL, SMALL)), draw(PAIRS(st.integers(0, 7), st.integers(0, 7)))
    window = window_size(output, kernel_size, strides)
    size = tuple(side + each for side, each in zip(window, more, strict=True))
    windows = draw(st.sampled_from([1, 2, 3, 6]))
    channels, batch = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if draw(st.booleans()):
        images = jnp.asarray(rng.integers(0, 256, (batch, *size, channels)), jnp.uint8)
    else:
        images = jnp.asarray(rng.normal(size=(batch, *size, channels)), jnp.float32)
    scale = 255 if images.dtype == jnp.uint8 else 1
    kernel = jnp.asarray(rng.normal(size=(*kernel_size, channels, 6)) / scale, jnp.float32)
    spans = [side - each + 1 for side, each in zip(size, window, strict=True)]
    corners = jnp.asarray(rng.integers(0, spans, (batch, windows, 2)), jnp.int32)
    return images, kernel, corners, output, strides


# Three programs are compiled for each, of up to fifty taps.
@settings(max_examples=settings.default.max_examples // 3)
@given(stochastic_cases())
def test_both_forms_of_the_stochastic_convolution_equal_the_readable_one(case):
    images, kernel, corners, output, strides = case
    readable = functools.partial(
        readable_stochastic_conv, corners=corners, output_size=output, strides=strides
    )
    expected = value_and_gradients(readable, images, kernel)
    for method in ("loop", "batched"):
        conv = functools.partial(
            stochastic_conv, corners=corners, output_size=output, strides=strides, method=method
        )
        assert_alike(value_and_gradients(conv, images, kernel), expected)
    pads = [(0, -side % stride) for side, stride in zip(images.shape[1:3], strides, strict=True)]
    planes = polyphase(jnp.pad(images, ((0, 0), *pads, (0, 0))), strides)
    found = jax.jit(stochastic_conv_polyphase, static_argnums=(3, 4))(
        planes, kernel, corners, output, strides
    )
    assert_alike(found, expected[1])


@given(
    key=st.integers(0, 2**32 - 1),
    window=PAIRS(st.integers(1, 40), st.integers(1, 40)),
    more=PAIRS(st.integers(0, 46_340), st.integers(0, 46_340)),
    how=st.sampled_from(
        [("independent", "independent"), ("diagonal", "independent"), ("independent", "even")]
    ),
    per_image=st.booleans(),
    draw=st.integers(0, 1000),
)
@example(0, (7, 9), (0, 0), ("independent", "even"), True, 0)  # the window is the image
@example(0, (1, 1), (0, 46_340), ("diagonal", "independent"), True, 0)  # the most that it can
@example(0, (1, 1), (0, 65_534), ("independent", "even"), True, 10**6)
def test_every_window_lies_in_its_image_and_is_its_own(key, window, more, how, per_image, draw):
    axes, placement = how
    size = tuple(side + each for side, each in zip(window, more, strict=True))
    options = {"per_image": per_image, "axes": axes, "placement": placement, "draw": draw}
    sample = functools.partial(sample_windows, jax.random.key(key), **options)
    corners = np.asarray(sample(3, 5, size, window))
    assert corners.shape == (3, 5, 2)
    assert corners.dtype == np.int32
    assert (corners >= 0).all()
    assert (corners <= more).all()
    one = sample(1, 5, size, window, image_index=jnp.array([2]))
    np.testing.assert_array_equal(one[0], corners[2])


def test_diagonal_windows_of_images_whose_corners_would_overflow_are_refused():
    with pytest.raises(ValueError, match="at most 46341 places"):
        sample_windows(jax.random.key(0), 3, 5, (40, 50_000), (20, 20), axes="diagonal")


@given(
    output=PAIRS(st.integers(1, 300), st.integers(1, 300)),
    kernel=PAIRS(SMALL, SMALL),
    strides=PAIRS(STRIDES, STRIDES),
)
def test_a_window_is_what_an_unpadded_convolution_reads(output, kernel, strides):
    window = window_size(output, kernel, strides)
    for less in (0, 1):
        size = (window[0] - less, window[1] - less)
        if min(a - b for a, b in zip(size, kernel, strict=True)) >= 0:
            shape = output_size(size, kernel, strides, "VALID")
            assert (shape == output) == (not less)


@st.composite
def padded_cases(draw):
    size, kernel_size = draw(PAIRS(*2 * [st.integers(1, 12)])), draw(PAIRS(SMALL, SMALL))
    strides, padding = draw(PAIRS(STRIDES, STRIDES)), draw(PADDINGS)
    if padding == "VALID":
        size = tuple(max(pair) for pair in zip(size, kernel_size, strict=True))
    elif not isinstance(padding, str):
        size = tuple(
            max(side, taps - sum(pads))
            for side, taps, pads in zip(size, kernel_size, padding, strict=True)
        )
    elif padding == "SYMMETRIC":
        size = tuple(max(pair) for pair in zip(size, kernel_size, strict=True))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    x = jnp.asarray(rng.normal(size=(draw(st.integers(1, 3)), *size, 3)), jnp.float32)
    return x, kernel_size, strides, padding, rng


def xla_conv(x, kernel, strides, padding, groups):
    if padding == "SYMMETRIC":
        padding = [((taps - 1) // 2,) * 2 for taps in kernel.shape[:2]]
    dimensions = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, kernel, strides, padding, dimension_numbers=dimensions, feature_group_count=groups
    )


@given(padded_cases())
def test_both_forms_of_the_depthwise_convolution_equal_xlas(case):
    x, kernel_size, strides, padding, rng = case
    kernel = jnp.asarray(rng.normal(size=(*kernel_size, 1, 3)), jnp.float32)
    plain = functools.partial(xla_conv, strides=strides, padding=padding, groups=3)
    expected = value_and_gradients(plain, x, kernel)
    for method in ("shifted", "grouped"):
        conv = functools.partial(depthwise_conv, strides=strides, padding=padding, method=method)
        assert_alike(value_and_gradients(conv, x, kernel), expected)


@given(padded_cases())
def test_both_forms_of_the_stems_convolution_equal_xlas(case):
    x, kernel_size, strides, padding, rng = case
    kernel = jnp.asarray(rng.normal(size=(*kernel_size, 3, 4)), jnp.float32)
    plain = functools.partial(xla_conv, strides=strides, padding=padding, groups=1)
    expected = value_and_gradients(plain, x, kernel)
    for method in ("patches", "conv"):
        conv = functools.partial(patch_conv, strides=strides, padding=padding, method=method)
        assert_alike(value_and_gradients(conv, x, kernel), expected)
