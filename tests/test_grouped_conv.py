import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from four_devices import assert_gradients_equal_one_devices
from jax import lax

from stochconv_jax.ops import grouped_conv


def xlas_conv(x, kernel, groups, strides, padding):
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


@pytest.mark.parametrize(
    ("groups", "strides", "padding", "size"),
    [
        (1, (1, 1), "SAME", (7, 8)),
        (1, (2, 2), ((1, 1), (1, 1)), (2, 4)),
        (2, (1, 1), "SAME", (7, 8)),
        (4, (2, 1), ((1, 1), (0, 2)), (7, 8)),
    ],
)
def test_every_form_equals_xlas_convolution_with_gradients(groups, strides, padding, size):
    x_key, kernel_key = jax.random.split(jax.random.key(0))
    x = jax.random.normal(x_key, (2, *size, 8))
    kernel = jax.random.normal(kernel_key, (3, 3, 8 // groups, 12))

    def value_and_gradients(conv):
        def loss(x, kernel):
            out = conv(x, kernel, groups, strides, padding)
            return jnp.sin(out).sum(), out

        return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(x, kernel)

    expected = value_and_gradients(xlas_conv)
    for method in ("auto", "split", "grouped"):
        actual = value_and_gradients(functools.partial(grouped_conv, method=method))
        for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4, err_msg=method)


@pytest.mark.parametrize(("platform", "grouped"), [("cpu", False), ("cuda", True)])
def test_the_form_is_that_of_the_platform_it_is_lowered_for(platform, grouped):
    export = jax.export.export(jax.jit(lambda *x: grouped_conv(*x, 2)), platforms=[platform])
    text = export(jnp.ones((1, 9, 9, 4)), jnp.ones((3, 3, 2, 6))).mlir_module()
    assert text.count("stablehlo.convolution") == (1 if grouped else 2)
    assert ("feature_group_count = 2" in text) == grouped


def test_images_smaller_than_the_kernel_are_a_product_of_patches_on_the_cpu():
    def text(side):
        conv = jax.jit(lambda *x: grouped_conv(*x, 1))
        return conv.lower(jnp.ones((1, side, side, 4)), jnp.ones((3, 3, 4, 6))).as_text()

    assert "stablehlo.convolution" in text(3)
    assert "stablehlo.convolution" not in text(2)


def test_gradients_over_four_devices_equal_one_devices():
    keys = jax.random.split(jax.random.key(0))
    x, kernel = jax.random.normal(keys[0], (4, 5, 5, 4)), jax.random.normal(keys[1], (3, 3, 2, 6))
    assert_gradients_equal_one_devices(
        lambda kernel, x: jnp.sin(grouped_conv(x, kernel, 2)).sum(), kernel, x, check_vma=True
    )


def test_a_kernel_for_other_channels_is_refused():
    with pytest.raises(ValueError, match=r"expected \[kh, kw, 8 / 2, K\]"):
        grouped_conv(jnp.ones((1, 8, 8, 8)), jnp.ones((3, 3, 8, 6)), 2)
