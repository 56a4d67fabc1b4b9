import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from parity import keras_twin, random_keras, save_keras
from shallow_efficientnet import SHALLOW
from support import abstract, count_parameters

from stochconv_jax.models import BACKBONES, create_model
from stochconv_jax.models.conv import batch_norm
from stochconv_jax.models.mbconv import MBConv
from stochconv_jax.models.weights.read_file import read_weight_file
from stochconv_jax.models.weights.recognition import assign_to_plain

# Trainable parameters with 1,000 classes, as the official implementation prints them.
OFFICIAL = {
    "b0": 5_288_548,
    "b1": 7_794_184,
    "b2": 9_109_994,
    "b3": 12_233_232,
    "b4": 19_341_616,
    "b5": 30_389_784,
    "b6": 43_040_704,
    "b7": 66_347_960,
    "b8": 87_413_142,
    "l2": 480_309_308,
    "lite0": 4_652_008,
    "lite1": 5_416_680,
    "lite2": 6_092_072,
    "lite3": 8_197_096,
    "lite4": 13_006_568,
}


# One that is wider and deeper of either kind; tests/slow has them all.
@pytest.mark.parametrize("name", ["b0", "b2", "lite0", "lite2"])
def test_parameter_counts_are_the_official_ones(name):
    model = abstract(f"efficientnet_{name}", branches=("global",), num_outputs=1000)
    assert count_parameters(model) == OFFICIAL[name]


@pytest.fixture(scope="module")
def keras_b0():
    return random_keras("EfficientNetB0", 64)


def test_b0_equals_keras(keras_b0, tmp_path):
    expected, actual = keras_twin(keras_b0, "efficientnet_b0", tmp_path / "b0.weights.h5")
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_kerass_files_of_either_format_fill_the_same(keras_b0, tmp_path):
    found = []
    for name in ("b0.weights.h5", "b0.h5"):
        save_keras(keras_b0, tmp_path / name)
        file = read_weight_file(tmp_path / name)
        found.append(assign_to_plain(file, BACKBONES["efficientnet_b0"]))
    assert not found[0].anew
    assert set(found[0].arrays) == set(found[1].arrays)
    for name, array in found[0].arrays.items():
        np.testing.assert_array_equal(found[1].arrays[name], array)


def test_every_block_owns_its_weights():
    model = create_model(SHALLOW, seed=0, join="head", output_size=(16, 16))
    leaves = [np.array(leaf) for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))]
    kernels = [leaf for leaf in leaves if leaf.std() > 0]
    assert len({leaf.tobytes() for leaf in kernels}) == len(kernels)


def test_initial_parameters_follow_the_published_distributions():
    model = create_model(BACKBONES["efficientnet_tiny"], seed=0, branches=("global",))
    branch = model.branches["global"]
    block = branch.stages.stage6[0]
    features = block.expand.kernel.shape[1]
    assert np.std(block.expand.kernel[...]) == pytest.approx((2 / features) ** 0.5, rel=0.03)
    assert np.std(block.depthwise.kernel[...]) == pytest.approx((2 / 25) ** 0.5, rel=0.03)
    reduce = block.squeeze_excitation.reduce
    assert np.std(reduce.kernel[...]) == pytest.approx((2 / reduce.out_features) ** 0.5, rel=0.03)
    assert not reduce.bias[...].any()
    assert np.std(branch.conv.kernel[...]) == pytest.approx((2 / (9 * 16)) ** 0.5, rel=0.15)
    assert 0.03 < np.abs(model.classifier.kernel[...]).max() <= 1000**-0.5


def test_drop_path_rises_linearly_with_depth():
    model = abstract(branches=("global",))
    stages = model.branches["global"].stages
    rates = [block.drop_rate for number in stages.numbers for block in stages.blocks(number)]
    np.testing.assert_allclose(rates, 0.2 * np.arange(16) / 16)


def make_block(**arguments):
    defaults = {"expand_ratio": 2, "kernel_size": 3, "strides": 1, "dtype": jnp.float32}
    return MBConv(8, 8, drop_rate=0.5, rngs=nnx.Rngs(0), **(defaults | arguments))


def test_bfloat16_blocks_stay_near_float32():
    x = jax.random.normal(jax.random.key(0), (2, 4, 4, 8))
    draw = jnp.array([0.9, 0.9])
    run = nnx.jit(lambda block, x: block(x, draw))
    exact, rounded = run(make_block(), x), run(make_block(dtype=jnp.bfloat16), x.astype("bfloat16"))
    assert rounded.dtype == jnp.bfloat16
    error = np.linalg.norm(exact - rounded.astype(np.float32)) / np.linalg.norm(exact)
    assert 1e-4 < error < 0.03


def test_drop_path_drops_whole_blocks_and_keeps_the_mean():
    block = make_block()
    x = jax.random.normal(jax.random.key(0), (2, 4, 4, 8))
    dropped, kept = block(x, jnp.array([0.1, 0.9])) - x
    assert not dropped.any()
    assert kept.any()
    block.drop_rate = 0.0
    whole = (block(x, jnp.array([0.1, 0.9])) - x)[1]
    np.testing.assert_allclose(kept, whole * 2, rtol=1e-4, atol=1e-5)


def test_batch_norm_keeps_a_hundredth_of_each_batch():
    norm = batch_norm(6, dtype=jnp.float32, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (8, 4, 4, 6)) * 3 + 5
    out = norm(x, use_running_average=False)
    np.testing.assert_allclose(norm.mean[...], 0.01 * x.mean((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(norm.var[...], 0.99 + 0.01 * x.var((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(
        out, (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-3), rtol=1e-3, atol=1e-4
    )
