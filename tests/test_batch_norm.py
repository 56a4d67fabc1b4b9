import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import PartitionSpec

from stochconv_jax.models.conv import batch_norm
from stochconv_jax.ops.activation import activate
from stochconv_jax.ops.batch_norm import batch_norm as normalise
from stochconv_jax.ops.batch_norm_passes import activated, input_gradient
from stochconv_jax.ops.native import is_built, xla_alone
from stochconv_jax.runs.devices import DATA_AXIS, make_mesh

BUILT = pytest.mark.skipif(not is_built(), reason="there was no C++ compiler at installation")
# Rows are no multiple of those that are added together, and channels fill no whole vectors.
SHAPES = [(3, 5, 7, 21), (2, 40, 40, 35), (13, 4)]


def inputs(shape, dtype=np.float32):
    rng = np.random.default_rng(0)
    x, outer = (
        rng.normal(loc=(3, 0), size=(*shape, 2))
        .astype(np.float32)
        .transpose(-1, *range(len(shape)))
    )
    scale, bias = rng.normal(loc=1, size=(2, shape[-1])).astype(np.float32)
    return jnp.asarray(x, dtype), scale, bias, jnp.asarray(outer, dtype)


def widened(array):
    return array.astype(jnp.float32)


def flax_layer(shape, scale, bias):
    layer = nnx.BatchNorm(shape[-1], momentum=0.9, epsilon=1e-3, rngs=nnx.Rngs(0))
    layer.scale[...], layer.bias[...] = scale, bias
    return layer


def assert_equals_flaxs(shape, activation):
    x, scale, bias, outer = inputs(shape)

    def flaxs(x, scale, bias):
        return activate(flax_layer(shape, scale, bias)(x, use_running_average=False), activation)

    def ours(x, scale, bias):
        return normalise(x, scale, bias, 1e-3, activation=activation)[0]

    expected, pull_back = jax.vjp(flaxs, x, scale, bias)
    actual, pull_back_ours = jax.vjp(jax.jit(ours), x, scale, bias)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)
    for one, other in zip(pull_back_ours(outer), pull_back(outer), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("native", [pytest.param(True, marks=BUILT), False])
@pytest.mark.parametrize("activation", ["none", "relu", "relu6", "silu"])
@pytest.mark.parametrize("shape", SHAPES)
def test_normalisation_and_its_gradients_equal_flaxs(shape, activation, native):
    with contextlib.nullcontext() if native else xla_alone():
        assert_equals_flaxs(shape, activation)


@BUILT
@pytest.mark.parametrize("isa", ["AVX2", "SSE4_2"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_width_of_vectors_equals_flaxs(shape, isa, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", f"--xla_cpu_max_isa={isa}")
    assert_equals_flaxs(shape, "silu")


@pytest.mark.parametrize("native", [pytest.param(True, marks=BUILT), False])
def test_swish_is_right_far_out_and_what_is_not_a_number_stays_so(native):
    x = jnp.array([-1e4, -100, -88, -20, -1, 0, 1, 20, 88, 100, 1e4], jnp.float32)[:, None]
    ones = jnp.ones(1)
    channels, gates = jnp.array([[0.0], [1.0], [0.0]]), jnp.zeros((1, 0, 1))
    with contextlib.nullcontext() if native else xla_alone():
        swish = activated(x[None], channels, gates, "silu")[0]
        tilted = jnp.concatenate([channels, jnp.zeros((2, 1))])
        slope = input_gradient(x[None], tilted, gates, jnp.ones((1, *x.shape)), "silu")[0]
        y, _, _ = normalise(x.at[0].set(jnp.nan), ones, ones, 1e-3, activation="silu")
    np.testing.assert_allclose(swish, jax.nn.silu(x), rtol=1e-6, atol=1e-30)
    expected = jax.vmap(jax.grad(jax.nn.silu))(x[:, 0])
    np.testing.assert_allclose(slope[:, 0], expected, rtol=1e-5, atol=1e-6)
    assert jnp.isnan(y).all()


def test_a_layer_with_frozen_statistics_or_a_mask_activates_as_well():
    x, _, _, _ = inputs((3, 5, 7, 21))
    layer = batch_norm(21, activation="relu", dtype=jnp.float32, rngs=nnx.Rngs(0))
    plain = nnx.BatchNorm(21, epsilon=1e-3, rngs=nnx.Rngs(0))
    mask = jnp.ones((3, 5, 7, 1), bool).at[0].set(False)
    expected = jax.nn.relu(plain(x, use_running_average=False, mask=mask))
    np.testing.assert_allclose(layer(x, use_running_average=False, mask=mask), expected, atol=1e-5)
    layer.frozen, before = True, layer.mean[...]
    evaluated = jax.nn.relu(plain_evaluation(x, layer))
    np.testing.assert_allclose(layer(x, use_running_average=False), evaluated, atol=1e-5)
    np.testing.assert_array_equal(layer.mean[...], before)


def plain_evaluation(x, layer):
    return (x - layer.mean[...]) / jnp.sqrt(layer.var[...] + 1e-3)


def test_an_activation_that_there_is_not_is_refused():
    x, scale, bias, _ = inputs((13, 4))
    with pytest.raises(ValueError, match="activation is 'swish'; use one of none, relu, relu6"):
        normalise(x, scale, bias, 1e-3, activation="swish")


def test_running_statistics_move_as_flaxs_do():
    x, scale, bias, _ = inputs((3, 5, 7, 21))
    flaxs = flax_layer(x.shape, scale, bias)
    ours = batch_norm(21, epsilon=1e-3, dtype=jnp.float32, rngs=nnx.Rngs(0))
    ours.momentum = 0.9
    for layer in (flaxs, ours):
        layer(x, use_running_average=False)
        layer(2 * x, use_running_average=False)
    np.testing.assert_allclose(ours.mean[...], flaxs.mean[...], rtol=1e-5)
    np.testing.assert_allclose(ours.var[...], flaxs.var[...], rtol=1e-4)


def test_a_layer_that_is_told_to_evaluate_leaves_its_statistics():
    x, scale, bias, _ = inputs((3, 5, 7, 21))
    layer = batch_norm(21, epsilon=1e-3, dtype=jnp.float32, rngs=nnx.Rngs(0))
    layer.scale[...], layer.bias[...] = scale, bias
    layer.use_running_average = True
    np.testing.assert_allclose(layer(x), x * scale / np.sqrt(1.001) + bias, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(layer.mean[...], 0)


def test_half_precision_is_summed_in_float32():
    x, scale, bias, outer = inputs((2, 40, 40, 35), jnp.bfloat16)
    y, mean, variance = normalise(x, scale, bias, 1e-3)

    def gradients(x, bias, outer):
        _, pull_back = jax.vjp(lambda x, bias: normalise(x, scale, bias, 1e-3)[0], x, bias)
        return pull_back(outer)

    half, wide = (
        gradients(x, bias.astype(jnp.bfloat16), outer),
        gradients(*map(widened, (x, bias, outer))),
    )
    assert [one.dtype for one in half] == [jnp.bfloat16, jnp.bfloat16]
    for one, other in zip(half, wide, strict=True):
        np.testing.assert_allclose(widened(one), other, rtol=0.02, atol=0.02 * abs(other).max())
    exact = np.asarray(x, np.float64).reshape(-1, 35)
    assert y.dtype == jnp.bfloat16
    assert mean.dtype == variance.dtype == jnp.float32
    np.testing.assert_allclose(mean, exact.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(variance, exact.var(axis=0), rtol=1e-3)


def test_a_channel_that_is_constant_has_no_negative_variance():
    y, _, variance = normalise(jnp.full((64, 3), 1234.567), jnp.ones(3), jnp.zeros(3), 1e-3)
    assert (variance >= 0).all()
    assert jnp.isfinite(y).all()


def test_statistics_and_gradients_over_four_devices_are_those_of_the_whole_batch():
    x, scale, bias, outer = inputs((8, 3, 3, 5))

    def on(devices):
        def local(x, scale, bias, outer):
            def forward(x, scale, bias):
                y, *statistics = normalise(x, scale, bias, 1e-3, DATA_AXIS)
                return y, statistics

            y, pull_back, statistics = jax.vjp(forward, x, scale, bias, has_aux=True)
            return y, statistics, pull_back(outer)

        whole, divided = PartitionSpec(), PartitionSpec(DATA_AXIS)
        return jax.shard_map(
            local,
            mesh=make_mesh(devices),
            in_specs=(divided, whole, whole, divided),
            out_specs=(divided, whole, (divided, whole, whole)),
        )

    expected, actual = (jax.jit(on(devices))(x, scale, bias, outer) for devices in (1, 4))
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@BUILT
def test_sums_are_the_same_bits_each_time():
    x, scale, bias, outer = inputs((8, 64, 64, 40))

    @jax.jit
    def statistics_and_gradients(x, scale, bias):
        _, pull_back, statistics = jax.vjp(outputs, x, scale, bias, has_aux=True)
        return statistics, pull_back(outer)

    def outputs(x, scale, bias):
        y, *statistics = normalise(x, scale, bias, 1e-3)
        return y, statistics

    first = statistics_and_gradients(x, scale, bias)
    for _ in range(5):
        again = statistics_and_gradients(x, scale, bias)
        jax.tree.map(np.testing.assert_array_equal, again, first)
