import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import PartitionSpec

from stochconv_jax.models.conv import batch_norm
from stochconv_jax.models.mbconv import SqueezeExcitation
from stochconv_jax.ops.activation import activate
from stochconv_jax.ops.native import is_built, xla_alone
from stochconv_jax.ops.squeeze_excitation import Weights, batch_norm_squeeze_excitation
from stochconv_jax.runs.devices import DATA_AXIS, make_mesh

BUILT = pytest.mark.skipif(not is_built(), reason="there was no C++ compiler at installation")
# Rows of an image are no multiple of those that are added together, channels fill no whole vectors.
SHAPES = [(3, 5, 7, 21), (2, 40, 40, 35), (4, 1, 1, 6)]


def inputs(shape, dtype=np.float32):
    rng = np.random.default_rng(0)
    x, outer = rng.normal(loc=[[1], [0]], size=(2, np.prod(shape))).reshape(2, *shape)
    scale, bias = rng.normal(loc=1, size=(2, shape[-1]))
    kernel, back = rng.normal(size=(2, shape[-1], 4))
    weights = Weights(kernel, rng.normal(size=4), back.T, rng.normal(size=shape[-1]))
    operands = jax.tree.map(lambda array: jnp.asarray(array, np.float32), (scale, bias, weights))
    return (jnp.asarray(x, dtype), *operands), jnp.asarray(outer, dtype)


def plainly(x, scale, bias, weights, activation):
    """Flax's BatchNorm, the activation, and Hu et al.'s gates, as one writes them down."""
    norm = nnx.BatchNorm(x.shape[-1], epsilon=1e-3, rngs=nnx.Rngs(0))
    norm.scale[...], norm.bias[...] = scale, bias
    y = activate(norm(x, use_running_average=False), activation)
    reduced = jnp.einsum("bhwc,cr->br", y, weights.reduce_kernel) / y[0, :, :, 0].size
    hidden = jax.nn.silu(reduced + weights.reduce_bias)
    gates = jax.nn.sigmoid(hidden @ weights.expand_kernel + weights.expand_bias)
    return jnp.einsum("bhwc,bc->bhwc", y, gates)


def assert_equals_plain_form(shape, activation):
    operands, outer = inputs(shape)
    expected, pull_back = jax.vjp(lambda *operands: plainly(*operands, activation), *operands)
    actual, pull_back_ours = jax.vjp(
        jax.jit(
            lambda *operands: batch_norm_squeeze_excitation(*operands, 1e-3, activation=activation)[
                0
            ]
        ),
        *operands,
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)
    for one, other in zip(
        jax.tree.leaves(pull_back_ours(outer)), jax.tree.leaves(pull_back(outer)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3 * float(abs(other).max()))


@pytest.mark.parametrize("native", [pytest.param(True, marks=BUILT), False])
@pytest.mark.parametrize("activation", ["relu6", "silu"])
@pytest.mark.parametrize("shape", SHAPES)
def test_gated_maps_and_all_gradients_equal_the_plain_form(shape, activation, native):
    with contextlib.nullcontext() if native else xla_alone():
        assert_equals_plain_form(shape, activation)


@BUILT
@pytest.mark.parametrize("isa", ["AVX2", "SSE4_2"])
def test_every_width_of_vectors_equals_the_plain_form(isa, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", f"--xla_cpu_max_isa={isa}")
    assert_equals_plain_form((3, 5, 7, 21), "silu")


@pytest.mark.parametrize("weights_dtype", [jnp.bfloat16, jnp.float32])
def test_half_precision_is_near_float32(weights_dtype):
    (x, scale, bias, weights), outer = inputs((2, 40, 40, 35))
    half_x, half_outer = x.astype(jnp.bfloat16), outer.astype(jnp.bfloat16)
    half_weights = jax.tree.map(lambda array: array.astype(weights_dtype), weights)

    def both(outer, *operands):
        def forward(*operands):
            out, *statistics = batch_norm_squeeze_excitation(*operands, 1e-3, activation="silu")
            return out, statistics

        out, pull_back, (mean, _) = jax.vjp(forward, *operands, has_aux=True)
        return out, mean, pull_back(outer)

    out, mean, gradients = both(outer, x, scale, bias, weights)
    half, half_mean, half_gradients = both(half_outer, half_x, scale, bias, half_weights)
    assert half.dtype == jnp.bfloat16
    assert half_mean.dtype == jnp.float32
    np.testing.assert_allclose(half_mean, mean, atol=2e-3)
    np.testing.assert_allclose(half.astype(np.float32), out, rtol=0.05, atol=0.05)
    for one, other in zip(jax.tree.leaves(half_gradients), jax.tree.leaves(gradients), strict=True):
        one = one.astype(np.float32)
        np.testing.assert_allclose(one, other, rtol=0.1, atol=0.1 * float(abs(other).max()))


def test_the_same_bits_each_time():
    operands, outer = inputs((8, 40, 40, 40))

    @jax.jit
    def gradients(*operands):
        def forward(*operands):
            return batch_norm_squeeze_excitation(*operands, 1e-3, activation="silu")[0]

        return jax.vjp(forward, *operands)[1](outer)

    first = gradients(*operands)
    for _ in range(5):
        jax.tree.map(np.testing.assert_array_equal, gradients(*operands), first)


def test_gradients_over_four_devices_are_those_of_the_whole_batch():
    operands, outer = inputs((8, 3, 3, 5))

    def on(devices):
        def local(outer, x, *parameters):
            def forward(*operands):
                out, *statistics = batch_norm_squeeze_excitation(*operands, 1e-3, DATA_AXIS, "silu")
                return out, statistics

            out, pull_back, statistics = jax.vjp(forward, x, *parameters, has_aux=True)
            return out, statistics, pull_back(outer)

        whole, divided = PartitionSpec(), PartitionSpec(DATA_AXIS)
        return jax.shard_map(
            local,
            mesh=make_mesh(devices),
            in_specs=(divided, divided, whole, whole, whole),
            out_specs=(divided, whole, (divided, whole, whole, whole)),
        )

    expected, actual = (jax.jit(on(devices))(outer, *operands) for devices in (1, 4))
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_the_layer_moves_its_norms_statistics_in_training_alone():
    norm = batch_norm(21, activation="silu", dtype=jnp.float32, rngs=nnx.Rngs(0))
    layer = SqueezeExcitation(21, 4, dtype=jnp.float32, rngs=nnx.Rngs(0))
    (x, *_), _ = inputs((3, 5, 7, 21))
    before = norm.mean[...]
    evaluated = layer(x, norm, use_running_average=True)
    np.testing.assert_array_equal(norm.mean[...], before)
    layer(x, norm, use_running_average=False)
    np.testing.assert_allclose(norm.mean[...], 0.01 * x.mean(axis=(0, 1, 2)), rtol=1e-4)
    norm.mean[...], norm.var[...] = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    norm.frozen = True
    again = layer(x, norm, use_running_average=False)
    np.testing.assert_array_equal(norm.mean[...], x.mean(axis=(0, 1, 2)))
    norm.frozen = False
    assert not np.allclose(again, evaluated)
    np.testing.assert_allclose(again, layer(x, norm, use_running_average=False), atol=1e-4)
