import functools

import jax
import numpy as np
import pytest
from flax import nnx
from PIL import Image
from shallow_efficientnet import SHALLOW
from support import drawn

from stochconv_jax.data.dataset.image_dataset import Example, ImageDataset
from stochconv_jax.data.framing import Framing, encode_jpeg
from stochconv_jax.data.pipeline.batches import Pipeline
from stochconv_jax.data.pipeline.shrink import shrink
from stochconv_jax.errors import InputError
from stochconv_jax.inference.predict import make_predict, predict_all
from stochconv_jax.keys import Purpose, run_key
from stochconv_jax.models import Context
from stochconv_jax.models.window_sampler import UniformWindows
from stochconv_jax.runs.devices import make_mesh

KEY = jax.random.key(1)


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(0)
    records = [
        {"image": encode_jpeg(Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)))}
        for _ in range(11)
    ]
    examples = tuple(Example(f"i{n}", "abc"[n % 3], "", "") for n in range(11))
    splits = np.array(["train", *["validation"] * 9, "train"])
    return ImageDataset(records, examples, ("a", "b", "c"), splits, Framing((64, 64), (1, 1)))


@functools.cache
def make_model(**arguments):
    """A network whose running statistics fit such images, so that its predictions differ."""
    defaults = {"num_outputs": 3, "output_size": (16, 16), "batch_norm_momentum": 0.0}
    model = drawn(SHALLOW, **defaults, **arguments)
    noise = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3)).astype(np.uint8)
    nnx.jit(lambda model: model(shrunk(noise), noise, KEY, train=True))(model)
    return model


def shrunk(images):
    return np.stack([shrink(image, (32, 32)) for image in images])


def predict(model, dataset, batch_size, devices=1, draws=3):
    mesh = make_mesh(devices)
    state = tuple(nnx.state(model, nnx.Param, nnx.BatchStat))
    batches = Pipeline(dataset, (32, 32)).evaluation_batches("validation", batch_size)
    return predict_all(make_predict(model, mesh, draws), state, batches, KEY, mesh)


@pytest.mark.parametrize("join", ["stem", "head"])
def test_draws_are_whole_passes_with_other_windows(dataset, join):
    """The global branch is computed once, which must change nothing."""
    model = make_model(join=join)
    predictions = predict(model, dataset, batch_size=9)
    (batch,) = Pipeline(dataset, (32, 32)).evaluation_batches("validation", 9)

    @nnx.jit
    def whole_pass(model, batch, draw):
        images = batch["image_low"], batch["image_high"]
        return model(*images, KEY, batch["index"], draw=draw)

    for draw in range(3):
        expected = whole_pass(model, batch, draw)
        np.testing.assert_allclose(predictions.logits[:, draw], expected, rtol=1e-4, atol=1e-4)
    assert predictions.logits.dtype == np.float32
    assert (np.ptp(predictions.logits, axis=1) > 1e-4).any()


@pytest.mark.parametrize(("batch_size", "devices"), [(2, 1), (8, 4)])
def test_every_image_counts_once_whatever_the_batch_and_the_devices(dataset, batch_size, devices):
    model = make_model(join="stem")
    expected = predict(model, dataset, batch_size=9)
    actual = predict(model, dataset, batch_size, devices)
    np.testing.assert_array_equal(actual.indices, np.arange(1, 10))
    np.testing.assert_array_equal(actual.labels, np.arange(1, 10) % 3)
    np.testing.assert_allclose(actual.logits, expected.logits, rtol=1e-4, atol=1e-4)


def test_evaluation_repeats_to_the_bit(dataset):
    model = make_model(join="stem")
    first, again = predict(model, dataset, 2), predict(model, dataset, 2)
    np.testing.assert_array_equal(first.logits, again.logits)


def test_remat_is_for_training_and_changes_no_prediction(dataset):
    plain, thrifty = (make_model(join="stem", remat=value) for value in (False, True))
    expected, actual = (predict(model, dataset, 9) for model in (plain, thrifty))
    np.testing.assert_allclose(actual.logits, expected.logits, rtol=1e-4, atol=1e-4)


def test_a_network_without_a_stochastic_branch_has_one_draw(dataset):
    predictions = predict(make_model(branches=("global",)), dataset, 9, draws=5)
    assert predictions.logits.shape == (9, 1, 3)
    np.testing.assert_allclose(predictions.probabilities.sum(axis=-1), 1, rtol=1e-12)


def test_no_draw_of_evaluation_chose_the_checkpoint(dataset):
    """Or evaluation's first draw would flatter the checkpoint that it was chosen by."""
    (batch,) = Pipeline(dataset, (32, 32)).evaluation_batches("validation", 9)
    sampler = UniformWindows(4)

    def corners(purpose, draw):
        context = Context.of_pass(run_key(0, purpose), batch["index"], draw=draw)
        return {row.tobytes() for row in np.asarray(sampler(context, (64, 64), (33, 33)))}

    chosen = corners(Purpose.VALIDATION, 0)
    for draw in range(16):
        assert not chosen & corners(Purpose.EVALUATION, draw)


def test_predictions_that_are_not_finite_are_told_in_a_sentence(dataset):
    model = nnx.clone(make_model(branches=("global",)))
    model.classifier.bias[...] = np.array([np.nan, 0, 0], np.float32)
    with pytest.raises(InputError, match="predictions are NaN or infinite"):
        predict(model, dataset, 9)
