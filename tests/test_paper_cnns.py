"""The two small CNNs of the papers, beside the same layers written down in PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from family_joins import check_joins
from flax import nnx
from support import abstract, count_parameters, noise
from torch_parity import torch_twin

from stochconv_jax.configs.papers import skin_lesions
from stochconv_jax.errors import InputError
from stochconv_jax.models import BACKBONES, Context, TwoBranchNetwork, create_model
from stochconv_jax.models.from_config import model_from_config
from stochconv_jax.models.receptive_cnn import ConvBlock

RECEPTIVE = "3:8 3:16 1:8 / 3:16 3:16 3:32 1:8 / 3:8 3:16 3:32 1:8 / 3:16 3:32 / 3:32 3:64 / 1:7"
SIX = ((7, 6), (7, 15), (7, 30), (5, 60), (5, 80), (3, 100))


def receptive_cnn(normalised=True):
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
        ]
        layers += [torch.nn.BatchNorm2d(features)] if normalised else []
        inputs = features
    if not normalised:
        layers.pop()  # the last ReLU
    return torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())


def receptive_cnn_no_batch_norm():
    """Returns the same without BatchNorm, and without the last ReLU."""
    return receptive_cnn(normalised=False)


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
    config = skin_lesions.get_config("receptive_cnn_no_batch_norm,plain")
    plain = model_from_config(config, num_outputs=7, abstract=True)
    assert count_parameters(plain) == 50_583  # without a scale and a bias a feature
    assert not jax.tree.leaves(nnx.state(plain, nnx.BatchStat))


@pytest.mark.parametrize(
    ("make", "name", "size", "outputs"),
    [
        (receptive_cnn, "receptive_cnn", 64, 7),
        (receptive_cnn_no_batch_norm, "receptive_cnn_no_batch_norm", 64, 7),
        (six_conv_cnn, "six_conv_cnn", 270, 2),
    ],
)
def test_logits_equal_the_same_layers_in_pytorch(make, name, size, outputs):
    theirs = make()
    expected, actual = torch_twin(theirs, name, names_in_order(theirs), size, outputs)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def test_without_batch_norm_images_are_told_apart_before_the_first_step():
    images = noise(0, 2, 32, 32, 3) // 2
    images[1] += 100
    model = create_model(
        BACKBONES["receptive_cnn_no_batch_norm"], seed=0, branches=("global",), num_outputs=7
    )
    logits = nnx.jit(lambda model, images: model(images, None, jax.random.key(0)))
    dark, bright = logits(model, images)
    assert abs(dark - bright).max() > 0.1
    assert (dark < 0).any()


def test_the_six_convolutions_leave_900_nodes_of_the_thesiss_images():
    def look(side):
        model = make_model("six_conv_cnn", branches=("global",))
        batch = {"image_low": jnp.zeros((1, side, side, 3))}
        return forward(model, batch, stages=("global/stage5",)).stages["global/stage5"]

    assert jax.eval_shape(lambda: look(416)).shape == (1, 3, 3, 100)
    with pytest.raises(InputError, match="too small for the unpadded convolutions"):
        jax.eval_shape(lambda: look(64))


def test_branches_join_before_a_classifier_that_pools_by_itself():
    check_joins("receptive_cnn", ("head",))


def test_dropout_drops_one_percent_and_each_images_own():
    seen = []
    block = ConvBlock(lambda x: seen.append(x), lambda x, train: x, pools=False, dropout=0.01)
    block(jnp.ones((2, 64, 64, 8)), jnp.array([0.25, 0.75]))
    dropped = np.array(seen[0]) == 0
    np.testing.assert_allclose(dropped.mean(axis=(1, 2, 3)), 0.01, atol=0.003)
    assert (dropped[0] != dropped[1]).any()
    np.testing.assert_allclose(np.array(seen[0])[~dropped], 1 / 0.99, rtol=1e-6)


def forward(model, batch, stages=(), train=False):
    context = Context.of_pass(jax.random.key(0), jnp.arange(len(batch["image_low"])), train)
    return model.forward(batch, context, stages=stages)


def make_model(name, **arguments):
    return TwoBranchNetwork(BACKBONES[name], rngs=nnx.Rngs(0), **arguments)
