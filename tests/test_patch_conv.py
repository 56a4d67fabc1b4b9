import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from four_devices import assert_gradients_equal_one_devices
from jax import lax

from stochconv_jax.ops import output_size, patch_conv


def xla_conv(x, kernel, strides, padding="SAME"):
    return lax.conv_general_dilated(
        x, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


@pytest.mark.parametrize(
    ("size", "kernel_size", "strides"),
    [((14, 14), (3, 3), (2, 2)), ((15, 12), (3, 3), (2, 2)), ((15, 16), (7, 4), (3, 1))],
)
def test_both_forms_equal_xlas_convolution_with_gradients(size, kernel_size, strides):
    x_key, kernel_key = jax.random.split(jax.random.key(0))
    x = jax.random.normal(x_key, (2, *size, 3))
    kernel = jax.random.normal(kernel_key, (*kernel_size, 3, 5))

    def value_and_gradients(conv):
        def loss(x, kernel):
            out = conv(x, kernel, strides)
            return jnp.sin(out).sum(), out

        return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(x, kernel)

    expected = value_and_gradients(xla_conv)
    for method in ("patches", "conv"):
        actual = value_and_gradients(functools.partial(patch_conv, method=method))
        for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4, err_msg=method)


@pytest.mark.parametrize("method", ["patches", "conv"])
def test_symmetric_padding_is_that_of_pytorchs_networks(method):
    x = jax.random.normal(jax.random.key(0), (2, 16, 15, 3))
    kernel = jax.random.normal(jax.random.key(1), (7, 3, 3, 5))
    expected = xla_conv(x, kernel, (2, 2), ((3, 3), (1, 1)))
    found = patch_conv(x, kernel, (2, 2), "SYMMETRIC", method)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert output_size((16, 15), (7, 3), (2, 2), "SYMMETRIC") == found.shape[1:3]


@pytest.mark.parametrize(("platform", "convolutions"), [("cpu", 0), ("cuda", 3), ("tpu", 3)])
def test_the_form_is_that_of_the_platform_it_is_lowered_for(platform, convolutions):
    def gradients(x, kernel):
        return jax.grad(lambda *args: jnp.sin(patch_conv(*args, (2, 2))).sum(), (0, 1))(x, kernel)

    export = jax.export.export(jax.jit(gradients), platforms=[platform])
    text = export(jnp.ones((1, 8, 8, 3)), jnp.ones((3, 3, 3, 4))).mlir_module()
    assert text.count("stablehlo.convolution") == convolutions


# "auto" traces both forms and runs the CPU's.
@pytest.mark.parametrize(("method", "check_vma"), [("auto", True), ("auto", False), ("conv", True)])
def test_gradients_over_four_devices_equal_one_devices(method, check_vma):
    keys = jax.random.split(jax.random.key(0))
    x, kernel = jax.random.normal(keys[0], (4, 9, 9, 3)), jax.random.normal(keys[1], (3, 3, 3, 5))
    assert_gradients_equal_one_devices(
        lambda kernel, x: jnp.sin(patch_conv(x, kernel, (2, 2), method=method)).sum(),
        kernel,
        x,
        check_vma=check_vma,
    )


def test_a_kernel_for_other_channels_is_refused():
    with pytest.raises(ValueError, match=r"expected \[kh, kw, 3, K\]"):
        patch_conv(jnp.ones((1, 8, 8, 3)), jnp.ones((3, 3, 4, 4)), (2, 2))


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="use one of auto, patches, conv"):
        patch_conv(jnp.ones((1, 8, 8, 3)), jnp.ones((3, 3, 3, 4)), (2, 2), method="fast")
