import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from stochconv_jax.ops import depthwise_conv


def grouped_conv(x, kernel, strides, padding):
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


@pytest.mark.parametrize(
    ("size", "kernel_size", "strides", "padding"),
    [
        ((14, 14), (3, 3), (1, 1), "SAME"),
        ((14, 14), (3, 3), (2, 2), "SAME"),
        ((14, 14), (5, 5), (1, 1), "SAME"),
        ((14, 14), (5, 5), (2, 2), "SAME"),
        ((9, 11), (5, 5), (2, 2), "SAME"),
        ((9, 12), (3, 5), (2, 1), "VALID"),
        ((9, 12), (3, 3), (2, 2), ((1, 2), (0, 3))),
        ((9, 12), (1, 2), (3, 3), ((2, 0), (4, 1))),
    ],
)
@pytest.mark.parametrize("method", ["shifted", "grouped"])
def test_equals_grouped_convolution_with_gradients(size, kernel_size, strides, padding, method):
    x_key, kernel_key = jax.random.split(jax.random.key(0))
    x = jax.random.normal(x_key, (2, *size, 6))
    kernel = jax.random.normal(kernel_key, (*kernel_size, 1, 6))

    def value_and_gradients(conv):
        def loss(x, kernel):
            out = conv(x, kernel, strides, padding)
            return jnp.sin(out).sum(), out

        return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(x, kernel)

    actual = value_and_gradients(functools.partial(depthwise_conv, method=method))
    expected = value_and_gradients(grouped_conv)
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_bfloat16_keeps_its_dtype_and_accumulates_the_gradient_in_float32():
    x = jnp.ones((4, 32, 32, 2), jnp.bfloat16)
    kernel = jnp.ones((3, 3, 1, 2), jnp.bfloat16)
    out, pull_back = jax.vjp(lambda x, k: depthwise_conv(x, k, (1, 1), "VALID"), x, kernel)
    x_gradient, kernel_gradient = pull_back(jnp.ones_like(out))
    assert out.dtype == x_gradient.dtype == kernel_gradient.dtype == jnp.bfloat16
    np.testing.assert_allclose(kernel_gradient.astype(np.float32), 4 * 30 * 30, rtol=0.01)


def test_a_kernel_for_other_channels_is_refused():
    with pytest.raises(ValueError, match=r"expected \[kh, kw, 1, 6\]"):
        depthwise_conv(jnp.ones((1, 8, 8, 6)), jnp.ones((3, 3, 1, 5)))


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="use one of auto, shifted, grouped"):
        depthwise_conv(jnp.ones((1, 8, 8, 6)), jnp.ones((3, 3, 1, 6)), method="fast")
