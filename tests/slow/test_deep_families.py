import jax
import jax.numpy as jnp
import numpy as np
import pytest
from family_joins import all_joins, check_joins
from flax import nnx
from support import abstract, count_parameters, noise
from test_resnest import PUBLISHED

from benchmarks.parity import NETWORKS, twins
from stochconv_jax.models import BACKBONES, create_model


@pytest.mark.parametrize("name", ["resnest101", "resnest200", "resnest269"])
def test_parameter_counts_are_the_packages(name):
    model = abstract(name, branches=("global",), num_outputs=1000)
    assert count_parameters(model) == PUBLISHED[name]


@pytest.mark.parametrize(
    "name", sorted(set(NETWORKS) - {"resnet18_small", "resnet50", "resnest50"})
)
def test_logits_equal_the_published_networks(name):
    found = twins(name, 72, 7)
    assert found.parameters == found.published_parameters
    np.testing.assert_allclose(found.ours, found.published, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "resnet18_small",
        "resnet50",
        "resnest50",
        "receptive_cnn",
        "receptive_cnn_no_batch_norm",
        "six_conv_cnn",
    ],
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
