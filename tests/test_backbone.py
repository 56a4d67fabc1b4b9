"""What any family of networks is joined by, shown on one that is not EfficientNet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from toy_family import Toy

from stochconv_jax.models import Context, create_model
from stochconv_jax.models.parameter_names import parameters_by_name
from stochconv_jax.ops import polyphase

LOW = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
HIGH = np.random.default_rng(1).integers(0, 256, (3, 128, 96, 3)).astype(np.uint8)
KEY = jax.random.key(0)


def make(**arguments):
    return create_model(Toy(), seed=0, output_size=(8, 16), num_outputs=4, **arguments)


@nnx.jit(static_argnames="stages")
def forward(model, batch, stages=()):
    return model.forward(batch, Context.of_pass(KEY, jnp.arange(3)), stages=stages)


@pytest.mark.parametrize("join", ["stem", 1, 2, "head"])
def test_a_family_joins_anywhere_with_a_stem_of_any_size_and_stride(join):
    model = make(join=join)
    planes = polyphase(HIGH, (4, 2))
    found = forward(model, {"image_low": LOW, "image_high": planes})
    assert found.logits.shape == (3, 4)
    assert found.corners["stochastic"].shape == (3, 6, 2)
    # A window reads 33 rows and 33 columns.
    assert (np.array(found.corners["stochastic"]).max((0, 1)) <= [128 - 33, 96 - 33]).all()
    again = forward(model, {"image_low": LOW, "image_high": HIGH})
    np.testing.assert_allclose(found.logits, again.logits, atol=1e-5)
    changed = forward(model, {"image_low": LOW, "image_high": 255 - HIGH})
    assert (np.abs(changed.logits - found.logits) > 1e-4).any(axis=1).all()


def test_pixels_are_normalised_as_the_family_says():
    model = make(branches=("global",))
    stem = model.branches["global"].conv
    stem.kernel[...] = jnp.zeros_like(stem.kernel[...]).at[2, 1, 0].set(1.0)
    out = forward(model, {"image_low": LOW}, stages=("global/stem",)).stages["global/stem"]
    # "SAME" padding of a 5x3 kernel with strides (4, 2): tap (2, 1) meets row 4y + 2.
    expected = np.maximum(LOW[:, 2::4, 1::2, 0] / 127.5 - 1, 0)
    np.testing.assert_allclose(out[..., 0], expected, atol=1e-5)


def test_the_output_of_any_stage_can_be_asked_for():
    model = make(join=1)
    batch = {"image_low": LOW, "image_high": HIGH}
    names = ("global/stem", "stochastic/stage1", "trunk/stage2", "trunk/head")
    found = forward(model, batch, stages=names).stages
    assert {name: found[name].shape for name in names} == {
        "global/stem": (3, 8, 16, 6),
        "stochastic/stage1": (3, 8, 16, 8),
        "trunk/stage2": (3, 8, 16, 10),
        "trunk/head": (3, 10),
    }
    with pytest.raises(ValueError, match=r"no stage trunk/stage1; it has global/stem, global/"):
        forward(model, batch, stages=("trunk/stage1",))


def test_a_layer_has_one_name_wherever_it_stands():
    plain = parameters_by_name(make(branches=("global",)))
    assert "stage2.1.dense.kernel" in plain
    assert all(len(arrays) == 1 for arrays in plain.values())
    for join, branches in ((1, 2), ("head", 2), ("stem", 2)):
        joined = parameters_by_name(make(join=join))
        assert set(joined) == set(plain)
        assert len(joined["conv.kernel"]) == branches
    assert len(parameters_by_name(make(join=1))["stage2.0.dense.kernel"]) == 1


def test_a_branch_that_is_given_what_it_needs_not_is_told_what_it_lacks():
    with pytest.raises(ValueError, match="image_high is not given; the stochastic branch looks"):
        forward(make(), {"image_low": LOW})
