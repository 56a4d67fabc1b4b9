import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from four_devices import assert_gradients_equal_one_devices
from jax import lax

from stochconv_jax.ops import depthwise_conv
from stochconv_jax.ops.native import is_built, xla_alone


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
        ((14, 14), (5, 5), (2, 2), "SAME"),
        ((9, 11), (5, 5), (2, 2), "SAME"),
        ((9, 12), (3, 5), (2, 1), "VALID"),
        ((9, 12), (3, 3), (2, 2), ((1, 2), (0, 3))),
        ((9, 12), (1, 2), (3, 3), ((2, 0), (4, 1))),
        ((1, 1), (3, 3), (2, 2), "SAME"),
    ],
)
def test_both_forms_equal_grouped_convolution_with_gradients(size, kernel_size, strides, padding):
    x_key, kernel_key = jax.random.split(jax.random.key(0))
    x = jax.random.normal(x_key, (2, *size, 6))
    kernel = jax.random.normal(kernel_key, (*kernel_size, 1, 6))

    def value_and_gradients(conv):
        def loss(x, kernel):
            out = conv(x, kernel, strides, padding)
            return jnp.sin(out).sum(), out

        return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(x, kernel)

    expected = value_and_gradients(grouped_conv)
    for method in ("shifted", "grouped"):
        actual = value_and_gradients(functools.partial(depthwise_conv, method=method))
        for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4, err_msg=method)


@pytest.mark.skipif(not is_built(), reason="there was no C++ compiler at installation")
@pytest.mark.parametrize("isa", ["AVX512", "AVX2", "SSE4_2"])
@pytest.mark.parametrize(
    ("size", "taps", "stride", "padding"),
    [
        ((14, 14), 3, 1, "SAME"),
        ((13, 15), 3, 2, "SAME"),
        ((14, 13), 5, 1, "SYMMETRIC"),
        ((15, 14), 5, 2, "SAME"),
        ((12, 11), 5, 2, "VALID"),
        ((9, 12), 3, 2, ((4, 2), (0, 5))),
        ((1, 1), 5, 2, "SAME"),
        ((2, 3), 5, 1, "SAME"),
    ],
)
def test_the_form_in_cpp_and_its_gradients_equal_the_shifted_one(
    size, taps, stride, padding, isa, monkeypatch
):
    keys = jax.random.split(jax.random.key(0))
    # Channels that fill one vector of each width, and some that fill none.
    x = jax.random.normal(keys[0], (2, *size, 31))
    kernel = jax.random.normal(keys[1], (taps, taps, 1, 31))

    def value_and_gradients(method):
        def loss(x, kernel):
            out = depthwise_conv(x, kernel, (stride, stride), padding, method)
            return jnp.sin(out).sum(), out

        return jax.grad(loss, (0, 1), has_aux=True)(x, kernel)

    monkeypatch.setenv("XLA_FLAGS", f"--xla_cpu_max_isa={isa}")
    pairs = zip(*map(jax.tree.leaves, map(value_and_gradients, ("auto", "shifted"))), strict=True)
    for actual, expected in pairs:
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def test_bfloat16_keeps_its_dtype_and_sums_in_float32():
    """Off by no more than the rounding of the result to bfloat16."""
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (4, 28, 28, 3), jnp.bfloat16)
    kernel = jax.random.normal(keys[1], (5, 5, 1, 3), jnp.bfloat16)
    cotangent = jax.random.normal(keys[2], x.shape, jnp.bfloat16)

    def value_and_gradients(conv, dtype):
        out, pull_back = jax.vjp(conv, x.astype(dtype), kernel.astype(dtype))
        return out, *pull_back(cotangent.astype(dtype))

    actual = value_and_gradients(functools.partial(depthwise_conv, method="shifted"), jnp.bfloat16)
    exact = value_and_gradients(
        functools.partial(grouped_conv, strides=(1, 1), padding="SAME"), jnp.float32
    )
    for one, other in zip(actual, exact, strict=True):
        assert one.dtype == jnp.bfloat16
        error = np.linalg.norm(one.astype(np.float32) - other) / np.linalg.norm(other)
        assert error < 2.0**-9


@pytest.mark.parametrize(("platform", "convolutions"), [("cpu", 0), ("cuda", 3), ("tpu", 3)])
def test_the_form_is_that_of_the_platform_it_is_lowered_for(platform, convolutions):
    def gradients(x, kernel):
        return jax.grad(lambda *args: jnp.sin(depthwise_conv(*args)).sum(), (0, 1))(x, kernel)

    export = jax.export.export(jax.jit(gradients), platforms=[platform])
    with xla_alone():
        text = export(jnp.ones((1, 9, 9, 2)), jnp.ones((3, 3, 1, 2))).mlir_module()
    assert text.count("stablehlo.convolution") == convolutions
    assert ("feature_group_count = 2" in text) == (convolutions > 0)
    assert ("stablehlo.while" in text) == (convolutions == 0)


# "auto" traces both forms and runs the CPU's.
@pytest.mark.parametrize(
    ("method", "check_vma"), [("auto", True), ("auto", False), ("grouped", True)]
)
def test_gradients_over_four_devices_equal_one_devices(method, check_vma):
    keys = jax.random.split(jax.random.key(0))
    x, kernel = jax.random.normal(keys[0], (4, 9, 9, 6)), jax.random.normal(keys[1], (3, 3, 1, 6))
    assert_gradients_equal_one_devices(
        lambda kernel, x: jnp.sin(depthwise_conv(x, kernel, (2, 2), method=method)).sum(),
        kernel,
        x,
        check_vma=check_vma,
    )


def test_what_would_go_wrong_in_silence_is_refused():
    with pytest.raises(ValueError, match="x is float32 and kernel bfloat16"):
        depthwise_conv(jnp.ones((1, 8, 8, 6)), jnp.ones((3, 3, 1, 6), jnp.bfloat16))
    with pytest.raises(ValueError, match=r"padding is \(\(-1, 2\), \(0, 0\)\); cut the images"):
        depthwise_conv(jnp.ones((1, 8, 8, 6)), jnp.ones((3, 3, 1, 6)), padding=((-1, 2), (0, 0)))
    with pytest.raises(ValueError, match="larger than the padded image"):
        depthwise_conv(jnp.ones((1, 2, 8, 6)), jnp.ones((3, 3, 1, 6)), padding="VALID")


def test_a_kernel_for_other_channels_is_refused():
    with pytest.raises(ValueError, match=r"expected \[kh, kw, 1, 6\]"):
        depthwise_conv(jnp.ones((1, 8, 8, 6)), jnp.ones((3, 3, 1, 5)))


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="use one of auto, shifted, grouped"):
        depthwise_conv(jnp.ones((1, 8, 8, 6)), jnp.ones((3, 3, 1, 6)), method="fast")
