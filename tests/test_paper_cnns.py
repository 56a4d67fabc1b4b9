"""The two small CNNs of the papers, beside the same layers written down in PyTorch."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from support import abstract, count_parameters, noise
from torch_parity import torch_twin

from stochconv_jax.errors import InputError
from stochconv_jax.models import BACKBONES, Context, create_model

RECEPTIVE = "3:8 3:16 1:8 / 3:16 3:16 3:32 1:8 / 3:8 3:16 3:32 1:8 / 3:16 3:32 / 3:32 3:64 / 1:7"
SIX = ((7, 6), (7, 15), (7, 30), (5, 60), (5, 80), (3, 100))


def receptive_cnn():
    """Returns the dissertation's network by its figure 34, dropout left out."""
    layers, inputs = [], 3
    for word in RECEPTIVE.split():
        if word == "/":
            layers.append(torch.nn.MaxPool2d(2, 2))
            continue
        kernel, features = map(int, word.split(":"))
        layers += [
            torch.nn.Conv2d(inputs, features, kernel, padding="same"),
            torch.nn.ReLU(),
            torch.nn.BatchNorm2d(features),
        ]
        inputs = features
    return torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())


def six_conv_cnn():
    """Returns the thesis's network by its table 3.1, with two outputs."""
    layers, inputs = [], 3
    for kernel, features in SIX:
        layers += [
            torch.nn.Conv2d(inputs, features, kernel),
            torch.nn.BatchNorm2d(features),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2, 2),
        ]
        inputs = features
    layers += [torch.nn.AdaptiveAvgPool2d(3), torch.nn.Flatten()]
    for inputs in (900, 512):
        layers += [torch.nn.Linear(inputs, 512), torch.nn.BatchNorm1d(512), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(512, 2))


def names_in_order(model):
    """Returns a function from our names to theirs, both in the order of the network's layers."""
    leaves = {"weight": ("kernel", "scale"), "bias": ("bias",)}
    leaves |= {"running_mean": ("mean",), "running_var": ("var",)}
    theirs = [name for name in model.state_dict() if not name.endswith("tracked")]

    def depth(name):
        words = name.split(".")
        part = ["conv", "stem_tail", "stage", "head", "classifier"].index(words[0].rstrip("12345"))
        in_head = words[1] if words[0] == "head" else ""
        return (part, words[0], int(words[1]) if part == 2 else 0, in_head[-1:], "norm" in name)

    def names(ours):
        found, rest = {}, sorted(ours, key=depth)
        for name in theirs:
            leaf = name.split(".")[-1]
            place = next(i for i, each in enumerate(rest) if each.split(".")[-1] in leaves[leaf])
            found[rest.pop(place)] = name
        return found

    return names


def test_the_receptive_cnn_has_the_dissertations_parameters():
    model = abstract("receptive_cnn", branches=("global",), num_outputs=7)
    assert count_parameters(model) == 51_221


@pytest.mark.parametrize(
    ("make", "name", "size", "outputs"),
    [(receptive_cnn, "receptive_cnn", 64, 7), (six_conv_cnn, "six_conv_cnn", 270, 2)],
)
def test_logits_equal_the_same_layers_in_pytorch(make, name, size, outputs):
    theirs = make()
    expected, actual = torch_twin(theirs, name, names_in_order(theirs), size, outputs)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def test_the_six_convolutions_leave_900_nodes_of_the_thesiss_images():
    model = abstract("six_conv_cnn", branches=("global",))
    batch = {"image_low": jnp.zeros((1, 416, 416, 3))}
    found = jax.eval_shape(lambda: forward(model, batch, ("global/stage5",)).stages)
    assert found["global/stage5"].shape == (1, 3, 3, 100)
    small = {"image_low": jnp.zeros((1, 64, 64, 3))}
    with pytest.raises(InputError, match="too small for the unpadded convolutions"):
        jax.eval_shape(lambda: forward(model, small).logits)


def forward(model, batch, stages=(), train=False):
    images = batch["image_low"]
    context = Context.of_pass(jax.random.key(0), jnp.arange(len(images)), train)
    return model.forward(batch, context, stages=stages)


FAMILIES = ["resnet18", "resnet18_small", "resnet50", "resnest50", "receptive_cnn", "six_conv_cnn"]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_stochastic_branch_joins_at_stem_stages_and_head(name):
    backbone = BACKBONES[name]
    if backbone.stem_padding == "VALID":
        backbone = dataclasses.replace(backbone, padding="SYMMETRIC")
    # One block a stage, as the joins do not depend on how many there are.
    if name.startswith("resne"):
        backbone = dataclasses.replace(backbone, repeats=(1, 1, 1, 1))
    side = 64 // backbone.stem_strides[0]
    batch = {"image_low": jnp.zeros((2, 64, 64, 3)), "image_high": jnp.zeros((2, 160, 160, 3))}
    for join in ("stem", *range(1, len(backbone.repeats) + 1), "head"):

        def build_and_look(join=join):
            model = create_model(
                backbone, seed=0, join=join, output_size=(side, side), num_outputs=3
            )
            found = forward(model, batch, train=True)
            return found.logits, found.corners["stochastic"]

        logits, corners = jax.eval_shape(build_and_look)
        assert logits.shape == (2, 3)
        assert corners.shape == (2, backbone.stem_features, 2)


def test_gradients_reach_every_parameter_of_both_branches():
    model = create_model(
        BACKBONES["receptive_cnn"], seed=0, join=2, output_size=(32, 32), num_outputs=3
    )
    batch = {"image_low": noise(0, 4, 32, 32, 3), "image_high": noise(1, 4, 96, 96, 3)}

    @nnx.jit
    def gradients(model):
        return nnx.grad(lambda model: (forward(model, batch, train=True).logits[:, 0] ** 2).sum())(
            model
        )

    leaves = nnx.to_flat_state(gradients(model))
    assert all(np.isfinite(leaf[...]).all() for _, leaf in leaves)
    still = {path[-2:] for path, leaf in leaves if not np.any(leaf[...])}
    assert still == set()


def test_dropout_in_blocks_drops_one_percent_and_each_images_own():
    block = (
        create_model(BACKBONES["receptive_cnn"], seed=0, branches=("global",))
        .branches["global"]
        .stages.stage1[0]
    )
    seen = []
    block.conv = lambda x: seen.append(x) or x
    block.tail = lambda x, train: x
    x = jnp.ones((2, 64, 64, 8))
    block(x, jnp.array([0.25, 0.75]))
    dropped = np.array(seen[0]) == 0
    np.testing.assert_allclose(dropped.mean(axis=(1, 2, 3)), 0.01, atol=0.003)
    assert (dropped[0] != dropped[1]).any()
    np.testing.assert_allclose(np.array(seen[0])[~dropped], 1 / 0.99, rtol=1e-6)
