import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from stochconv_jax.ops import patch_conv


def xla_conv(x, kernel, strides):
    return lax.conv_general_dilated(
        x, kernel, strides, "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


@pytest.mark.parametrize("method", ["patches", "conv"])
@pytest.mark.parametrize(
    ("size", "kernel_size", "strides"),
    [((14, 14), (3, 3), (2, 2)), ((15, 12), (3, 3), (2, 2)), ((15, 16), (7, 4), (3, 1))],
)
def test_equals_xlas_convolution_with_gradients(size, kernel_size, strides, method):
    x_key, kernel_key = jax.random.split(jax.random.key(0))
    x = jax.random.normal(x_key, (2, *size, 3))
    kernel = jax.random.normal(kernel_key, (*kernel_size, 3, 5))

    def value_and_gradients(conv):
        def loss(x, kernel):
            out = conv(x, kernel, strides)
            return jnp.sin(out).sum(), out

        return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(x, kernel)

    actual = value_and_gradients(functools.partial(patch_conv, method=method))
    for one, other in zip(
        jax.tree.leaves(actual), jax.tree.leaves(value_and_gradients(xla_conv)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_the_cpu_gets_the_fast_form():
    form = jax.make_jaxpr(functools.partial(patch_conv, strides=(2, 2)))
    fast = "conv_general_dilated" not in str(form(jnp.ones((1, 8, 8, 3)), jnp.ones((3, 3, 3, 4))))
    assert fast == (jax.default_backend() == "cpu")


def test_a_kernel_for_other_channels_is_refused():
    with pytest.raises(ValueError, match=r"expected \[kh, kw, 3, K\]"):
        patch_conv(jnp.ones((1, 8, 8, 3)), jnp.ones((3, 3, 4, 4)), (2, 2))


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="use one of auto, patches, conv"):
        patch_conv(jnp.ones((1, 8, 8, 3)), jnp.ones((3, 3, 3, 4)), (2, 2), method="fast")
