"""Several draws in one pass, their features pooled before the classifier."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from toy_family import Toy

from stochconv_jax.inference.predict import draw_logits
from stochconv_jax.models import Context, create_model
from stochconv_jax.models.creation import model_in_shapes
from stochconv_jax.models.draw_pooling import AttentionPooling

KEY = jax.random.key(0)
INDEX = jnp.arange(3)
LOW = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
HIGH = np.random.default_rng(1).integers(0, 256, (3, 128, 96, 3)).astype(np.uint8)
BATCH = {"image_low": LOW, "image_high": HIGH, "index": INDEX}


ARGUMENTS = {"output_size": (8, 16), "num_outputs": 4, "placement": "even", "windows": 2}


def make(**arguments):
    return create_model(Toy(), seed=0, **(ARGUMENTS | arguments))


@nnx.jit
def forward(model, batch):
    return model.forward(batch, Context.of_pass(KEY, batch["index"]))


def logits_of(pooled_draws, parameters, draws):
    model = model_in_shapes(Toy(), pooled_draws=pooled_draws, **ARGUMENTS)
    nnx.update(model, parameters)
    return draw_logits(model, BATCH, KEY, draws)


def test_pooled_draws_are_the_mean_of_as_many_passes_with_gradients():
    """The classifier is linear, so that the mean of features has the mean of the logits."""
    parameters = nnx.state(make(), nnx.Param)

    def total(parameters, pooled):
        logits = logits_of(3 if pooled else 1, parameters, 1 if pooled else 3).mean(axis=1)
        return (logits * jnp.arange(12.0).reshape(3, 4)).sum(), logits

    gradient = jax.jit(jax.grad(total, has_aux=True), static_argnums=1)
    pooled, apart = gradient(parameters, True), gradient(parameters, False)
    for actual, expected in zip(jax.tree.leaves(pooled), jax.tree.leaves(apart), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)
    assert np.abs(pooled[1]).max() > 0.1


def test_an_image_meets_the_same_in_any_batch_of_pooled_draws():
    model = make(pooled_draws=2)
    whole = forward(model, BATCH)
    alone = forward(model, {name: array[2:] for name, array in BATCH.items()})
    assert whole.corners["stochastic"].shape == (3, 4, 2)
    np.testing.assert_allclose(alone.logits[0], whole.logits[2], atol=1e-5)


def test_attention_begins_as_the_mean_and_weighs_as_ilse_et_al():
    features = jax.random.normal(KEY, (5, 4, 10))
    pooling = AttentionPooling(10, nnx.Rngs(0))
    np.testing.assert_allclose(pooling(features), features.mean(axis=1), atol=1e-6)
    score = jax.random.normal(KEY, (128, 1))
    pooling.score.kernel[...] = score
    hidden = np.array(pooling.hidden.kernel[...])
    for image, found in zip(np.array(features), np.array(pooling(features)), strict=True):
        raw = [float((np.tanh(draw @ hidden) @ score)[0]) for draw in image]
        weights = np.exp(raw) / np.exp(raw).sum()
        np.testing.assert_allclose(
            found, sum(w * h for w, h in zip(weights, image, strict=True)), atol=1e-5
        )


def test_attention_stands_in_the_network_and_learns():
    model = make(pooled_draws=2, draw_pooling="attention")

    def loss(model):
        return (model.forward(BATCH, Context.of_pass(KEY, INDEX)).logits ** 2).sum()

    gradients = nnx.jit(nnx.grad(loss))(model)
    assert np.abs(gradients["branches"]["stochastic"]["pooling"]["score"]["kernel"]).max() > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"join": 1}, "pooled draws and guided windows ask for join 'head', not 1"),
        ({"draw_pooling": "median"}, "draw_pooling is 'median'; use mean or attention"),
        ({"windows": 4}, "4 windows do not divide 6 kernels"),
    ],
)
def test_what_cannot_be_pooled_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(pooled_draws=2, **arguments)
