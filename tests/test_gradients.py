"""Gradients of every operation, and of what pools, against finite differences.

Nearly all are linear in each argument, so that central differences are exact whatever their step,
and a step of 1 leaves rounding alone.
"""

import functools

import jax
import numpy as np
import pytest
from flax import nnx
from jax.test_util import check_grads

from stochconv_jax import ops
from stochconv_jax.models.draw_pooling import AttentionPooling
from stochconv_jax.models.pooling import average_pool, max_pool
from stochconv_jax.ops.method import portable_forms


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def assert_gradients_are_the_differences(function, *arguments, step=1.0, tolerance=1e-4):
    """Compares along one random direction of the arguments and one of the output."""
    check_grads(
        jax.jit(function),
        arguments,
        order=1,
        modes=["rev"],
        eps=step,
        rtol=tolerance,
        atol=tolerance,
    )


CORNERS = np.array([[[0, 0], [3, 2]], [[4, 5], [1, 3]]], np.int32)
STOCHASTIC = functools.partial(ops.stochastic_conv, corners=CORNERS, output_size=(3, 4))
POLYPHASE = functools.partial(ops.stochastic_conv_polyphase, corners=CORNERS, output_size=(3, 4))
# Few taps, since each is traced.
IMAGES, PLANES, KERNEL = draw(0, 2, 12, 14, 2), draw(0, 2, 2, 2, 2, 6, 7), draw(1, 2, 2, 2, 4)
CONVOLUTIONS = {
    "stochastic_conv": (STOCHASTIC, IMAGES, KERNEL),
    "stochastic_conv of other strides": (
        functools.partial(STOCHASTIC, strides=(3, 1)),
        IMAGES,
        draw(1, 1, 3, 2, 4),
    ),
    "stochastic_conv_polyphase": (POLYPHASE, PLANES, KERNEL),
    "depthwise_conv": (ops.depthwise_conv, draw(0, 2, 7, 6, 4), draw(1, 3, 3, 1, 4)),
    "depthwise_conv of strides": (
        functools.partial(ops.depthwise_conv, strides=(2, 3), padding="SYMMETRIC"),
        draw(0, 2, 7, 6, 4),
        draw(1, 3, 2, 1, 4),
    ),
    "grouped_conv": (
        functools.partial(ops.grouped_conv, groups=2, strides=(2, 1)),
        draw(0, 2, 7, 6, 4),
        draw(1, 3, 3, 2, 6),
    ),
    "patch_conv": (
        functools.partial(ops.patch_conv, strides=(2, 2)),
        draw(0, 2, 7, 6, 3),
        draw(1, 3, 3, 3, 4),
    ),
}
METHODS = {
    "stochastic": ("loop", "batched"),
    "depthwise": ("shifted", "grouped"),
    "grouped": ("split", "grouped"),
    "patch": ("patches", "conv"),
}


@pytest.mark.parametrize(
    ("name", "method"),
    [(name, method) for name in CONVOLUTIONS for method in ("auto", *METHODS[name.split("_")[0]])],
)
def test_every_convolution_and_method_in_image_and_kernel(name, method):
    conv, images, kernel = CONVOLUTIONS[name]
    assert_gradients_are_the_differences(functools.partial(conv, method=method), images, kernel)


def test_the_stochastic_convolution_in_the_form_that_every_format_knows():
    def portable(images, kernel):
        with portable_forms():
            return STOCHASTIC(images, kernel)

    assert_gradients_are_the_differences(portable, IMAGES, KERNEL)


@pytest.mark.parametrize("method", ["loop", "batched"])
def test_the_stochastic_convolution_of_integer_pixels_in_its_kernel(method):
    planes = np.random.default_rng(0).integers(0, 256, PLANES.shape).astype(np.uint8)

    def of_kernel(kernel):
        return POLYPHASE(planes, kernel, method=method) / 255

    assert_gradients_are_the_differences(of_kernel, KERNEL)


@pytest.mark.parametrize(
    ("layout", "shape"),
    [
        (functools.partial(ops.polyphase, strides=(2, 3)), (2, 4, 6, 3)),
        (ops.images_from_planes, (2, 2, 3, 3, 2, 2)),
    ],
)
def test_laying_out_planes_and_images(layout, shape):
    assert_gradients_are_the_differences(layout, draw(0, *shape))


@pytest.mark.parametrize("count_padding", [True, False])
def test_the_mean_of_windows(count_padding):
    pool = functools.partial(
        average_pool, size=3, strides=2, padding="SYMMETRIC", count_padding=count_padding
    )
    assert_gradients_are_the_differences(pool, draw(0, 2, 7, 6, 4))


def test_the_maximum_of_windows():
    # Values so far apart that no step makes another one the largest.
    order = np.random.default_rng(0).permutation(2 * 7 * 6 * 4).reshape(2, 7, 6, 4)
    pool = functools.partial(max_pool, size=3, strides=2, padding="SYMMETRIC")
    assert_gradients_are_the_differences(pool, order.astype(np.float32), step=0.1, tolerance=1e-2)


def test_the_pooling_of_draws_by_attention_in_features_and_weights():
    pooling = AttentionPooling(10, nnx.Rngs(0))
    graph, state = nnx.split(pooling)

    def pool(features, hidden, score):
        module = nnx.merge(graph, nnx.clone(state))
        module.hidden.kernel[...], module.score.kernel[...] = hidden, score
        return module(features)

    # Not linear: a step between the error of the difference and that of rounding.
    arguments = draw(0, 3, 4, 10), draw(1, 10, 128) / 4, draw(2, 128, 1) / 4
    assert_gradients_are_the_differences(pool, *arguments, step=3e-3, tolerance=1e-2)


def test_nothing_with_a_gradient_is_left_out():
    draws_nothing = {"Padding", "image_size_of", "output_size", "planes_shape", "window_size"}
    checked = {name.split(" ")[0] for name in CONVOLUTIONS} | {"polyphase", "images_from_planes"}
    assert set(ops.__all__) - draws_nothing - {"sample_windows"} == checked
