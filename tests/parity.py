"""A network of keras.applications and ours with the same random weights and statistics."""

import pathlib

import keras
import numpy as np
import pytest
from flax import nnx

from stochconv_jax.models import load_pretrained


def keras_twin(
    theirs: keras.Model, backbone: str, path: pathlib.Path
) -> tuple[np.ndarray, np.ndarray]:
    """Returns both networks' logits of 1,000 classes for two random images.

    Ours has the weights of the other from a file at `path`, of the format that its name asks for.
    """
    save_keras(theirs, path)
    ours = load_pretrained(str(path), backbone)
    shape = (2, *theirs.input_shape[1:])
    images = np.random.default_rng(1).integers(0, 256, shape).astype(np.float32)
    graph, state = nnx.split(ours)
    logits = nnx.jit(lambda model, images: model(images, None, nnx.Rngs(0).params()))
    return theirs.predict_on_batch(images), np.array(logits(nnx.merge(graph, state), images))


def random_keras(name: str, size: int) -> keras.Model:
    """Returns a network of keras.applications for images of size x size, its weights random."""
    rng = np.random.default_rng(0)

    def draw(initializer, shape, dtype):
        fan_out = np.prod(shape) / shape[-2]
        return rng.normal(0, np.sqrt(initializer.scale / fan_out), shape).astype(dtype)

    with pytest.MonkeyPatch.context() as patched:
        # By NumPy: Keras compiles a program for each shape.
        patched.setattr(keras.initializers.VarianceScaling, "__call__", draw)
        model = getattr(keras.applications, name)(
            weights=None, classifier_activation=None, input_shape=(size, size, 3)
        )
    randomise(model, rng)
    return model


def save_keras(model: keras.Model, path: pathlib.Path) -> None:
    """Writes a network's weights, or all of it, as the file's name asks."""
    (model.save_weights if path.name.endswith(".weights.h5") else model.save)(path)


def randomise(model: keras.Model, rng: np.random.Generator) -> None:
    """Gives every weight and statistic a random value that keeps the activations near one."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            mean, variance, count = layer.get_weights()
            mean[...] = np.array([0.485, 0.456, 0.406])
            variance[...] = np.array([0.229, 0.224, 0.225]) ** 2
            layer.set_weights([mean, variance, count])
            layer.finalize_state()
        elif isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            # At scale one the residual sums of forty blocks grow until rounding decides the logits:
            # noise of 1e-6 in B5's input changes them by a quarter.
            scale = 0.2 if layer.name.endswith("project_bn") else 1.0
            layer.set_weights(
                [
                    scale * rng.uniform(0.5, 1.5, shape),
                    rng.normal(0, 0.2, shape),
                    rng.normal(0, 0.2, shape),
                    rng.uniform(0.5, 1.5, shape),
                ]
            )
        else:
            layer.set_weights(
                [
                    weight if weight.ndim > 1 else rng.normal(0, 0.2, weight.shape)
                    for weight in layer.get_weights()
                ]
            )
