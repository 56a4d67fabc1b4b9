import numpy as np
import pytest
from support import abstract, count_parameters

from benchmarks.parity import twins

# With 1,000 classes, as torchvision's documentation has them; with 7, as the dissertation has it.
PUBLISHED = {
    ("resnet18", 1000): 11_689_512,
    ("resnet34", 1000): 21_797_672,
    ("resnet50", 1000): 25_557_032,
    ("resnet101", 1000): 44_549_160,
    ("resnet18_small", 7): 11_172_423,
}


@pytest.mark.parametrize(("name", "classes"), PUBLISHED)
def test_parameter_counts_are_the_published_ones(name, classes):
    model = abstract(name, branches=("global",), num_outputs=classes)
    assert count_parameters(model) == PUBLISHED[name, classes]


# Either block and either stem; tests/slow has the other networks.
@pytest.mark.parametrize("name", ["resnet18_small", "resnet50"])
def test_logits_equal_monais(name):
    found = twins(name, 64, 7)
    np.testing.assert_allclose(found.ours, found.published, rtol=1e-4, atol=1e-4)
