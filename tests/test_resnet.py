import numpy as np
import pytest
from monai.networks.nets import ResNet, resnet
from support import abstract, count_parameters
from torch_parity import torch_twin

from stochconv_jax.models import BACKBONES
from stochconv_jax.models.weights.resnet_names import resnet_names

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


def monai_resnet(name):
    """Returns MONAI's network of our name, in two dimensions and as torchvision has it."""
    backbone = BACKBONES[name]
    small = {"conv1_t_size": 3, "conv1_t_stride": 1, "no_max_pool": True}
    return ResNet(
        "bottleneck" if backbone.bottleneck else "basic",
        list(backbone.repeats),
        resnet.get_inplanes(),
        spatial_dims=2,
        num_classes=7,
        bias_downsample=False,
        **(small if backbone.small else {"conv1_t_size": 7, "conv1_t_stride": 2}),
    )


@pytest.mark.parametrize("name", ["resnet18", "resnet18_small", "resnet50"])
def test_logits_equal_monais(name):
    expected, actual = torch_twin(monai_resnet(name), name, resnet_names, 64, 7)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)
