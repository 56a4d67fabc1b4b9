"""A network of keras.applications and ours with the same random weights and statistics."""

import keras
import numpy as np
from flax import nnx

from stochconv_jax.models import BACKBONES, create_model
from stochconv_jax.models.mbconv import MBConv


def keras_twin(keras_name: str, backbone: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns both networks' logits of 1,000 classes for two random images of size x size."""
    theirs = getattr(keras.applications, keras_name)(
        weights=None, classifier_activation=None, input_shape=(size, size, 3)
    )
    ours = create_model(BACKBONES[backbone], seed=0, branches=("global",), num_outputs=1000)
    rng = np.random.default_rng(0)
    randomise(theirs, rng)
    copy_weights(theirs, ours)
    images = rng.integers(0, 256, (2, size, size, 3)).astype(np.float32)
    graph, state = nnx.split(ours)
    logits = nnx.jit(lambda model, images: model(images, None, nnx.Rngs(0).params()))
    return theirs.predict_on_batch(images), np.array(logits(nnx.merge(graph, state), images))


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


def copy_weights(theirs: keras.Model, ours) -> None:
    """Copies Keras's weights by the names of its layers."""

    def conv(name: str, module) -> None:
        weights = theirs.get_layer(name).get_weights()
        module.kernel[...] = weights[0].reshape(module.kernel.shape)
        if len(weights) > 1:
            module.bias[...] = weights[1]

    def norm(name: str, module: nnx.BatchNorm) -> None:
        values = theirs.get_layer(name).get_weights()
        for variable, value in zip(
            (module.scale, module.bias, module.mean, module.var), values, strict=True
        ):
            variable[...] = value

    def block(prefix: str, module: MBConv) -> None:
        if module.expands:
            conv(f"{prefix}expand_conv", module.expand)
            norm(f"{prefix}expand_bn", module.expand_norm)
        kernel = theirs.get_layer(f"{prefix}dwconv").get_weights()[0]
        module.depthwise.kernel[...] = kernel.swapaxes(2, 3)
        norm(f"{prefix}bn", module.depthwise_norm)
        conv(f"{prefix}se_reduce", module.squeeze_excitation.reduce)
        conv(f"{prefix}se_expand", module.squeeze_excitation.expand)
        conv(f"{prefix}project_conv", module.project)
        norm(f"{prefix}project_bn", module.project_norm)

    branch = ours.branches["global"]
    conv("stem_conv", branch.conv)
    norm("stem_bn", branch.stem_tail.norm)
    for number in branch.stages.numbers:
        for repeat, module in enumerate(branch.stages.blocks(number)):
            block(f"block{number}{chr(ord('a') + repeat)}_", module)
    conv("top_conv", branch.stages.head.conv)
    norm("top_bn", branch.stages.head.activation.norm)
    conv("predictions", ours.classifier)
