import jax
import jax.numpy as jnp
import numpy as np
import pytest
import resnest.torch
from family_joins import all_joins, check_joins
from flax import nnx
from support import abstract, count_parameters, noise
from test_resnest import PUBLISHED
from test_resnet import monai_resnet
from torch_parity import torch_twin

from stochconv_jax.models import BACKBONES, create_model
from stochconv_jax.models.weights.resnet_names import resnet_names


@pytest.mark.parametrize("name", ["resnest101", "resnest200", "resnest269"])
def test_parameter_counts_are_the_packages(name):
    model = abstract(name, branches=("global",), num_outputs=1000)
    assert count_parameters(model) == PUBLISHED[name]


@pytest.mark.parametrize("name", ["resnest101", "resnest200", "resnest269"])
def test_logits_equal_the_packages(name):
    theirs = getattr(resnest.torch, name)(num_classes=7)
    expected, actual = torch_twin(theirs, name, resnet_names, 72, 7)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["resnet34", "resnet34_small", "resnet50_small", "resnet101"])
def test_logits_equal_monais(name):
    expected, actual = torch_twin(monai_resnet(name), name, resnet_names, 64, 7)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "name",
    ["resnet18", "resnet18_small", "resnet50", "resnest50", "receptive_cnn", "six_conv_cnn"],
)
def test_a_stochastic_branch_joins_at_stem_stages_and_head(name):
    check_joins(name, all_joins(name))


def test_gradients_reach_every_kernel_of_a_stochastic_branch():
    model = create_model(
        BACKBONES["receptive_cnn"],
        seed=0,
        branches=("stochastic",),
        output_size=(32, 32),
        num_outputs=16,
    )
    images = noise(0, 4, 48, 48, 3)

    @nnx.jit
    def gradients(model):
        def loss(model):
            return jnp.sin(model(None, images, jax.random.key(0), train=True)).sum()

        return nnx.grad(loss)(model)

    leaves = nnx.to_flat_state(gradients(model))
    assert all(np.isfinite(leaf[...]).all() for _, leaf in leaves)
    kernels = [leaf for path, leaf in leaves if path[-1] == "kernel"]
    assert len(kernels) == 16
    assert all(np.any(kernel[...]) for kernel in kernels)
