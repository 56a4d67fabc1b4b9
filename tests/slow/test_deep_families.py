import numpy as np
import pytest
from family_joins import all_joins, check_joins
from support import abstract, count_parameters
from test_resnest import PUBLISHED

from benchmarks.parity import NETWORKS, twins


@pytest.mark.parametrize("name", ["resnest101", "resnest200", "resnest269"])
def test_parameter_counts_are_the_packages(name):
    model = abstract(name, branches=("global",), num_outputs=1000)
    assert count_parameters(model) == PUBLISHED[name]


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - {"resnet18", "resnet50", "resnest50"}))
def test_logits_equal_the_published_networks(name):
    found = twins(name, 72, 7)
    assert found.parameters == found.published_parameters
    np.testing.assert_allclose(found.ours, found.published, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "name",
    ["resnet18", "resnet18_small", "resnet50", "resnest50", "receptive_cnn", "six_conv_cnn"],
)
def test_a_stochastic_branch_joins_at_stem_stages_and_head(name):
    check_joins(name, all_joins(name))
