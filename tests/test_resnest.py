import numpy as np
from family_joins import check_joins

from benchmarks.parity import twins

# With 1,000 classes, in the package `resnest` 0.0.5.
PUBLISHED = {
    "resnest50": 27_483_240,
    "resnest101": 48_275_016,
    "resnest200": 70_201_544,
    "resnest269": 110_929_480,
}


def test_logits_and_parameters_are_the_packages():
    # 72 pixels make maps of odd sides, which the pooling must halve as PyTorch does.
    found = twins("resnest50", 72)
    np.testing.assert_allclose(found.ours, found.published, rtol=1e-4, atol=1e-4)
    # Deeper ones take up to half a minute to describe; tests/slow has them.
    assert found.parameters == PUBLISHED["resnest50"]


def test_the_first_of_the_deep_stems_convolutions_is_the_stochastic_one():
    check_joins("resnest50", ("stem", 2, "head"))
