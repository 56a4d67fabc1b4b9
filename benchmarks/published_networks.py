"""PyTorch's published networks by our names of their backbones."""

import re
from typing import Any

# The blocks of each stage, for MONAI builds no depth of two of them by name in two dimensions.
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def published_network(backbone: str, num_classes: int) -> Any:
    """Returns geffnet's EfficientNet, MONAI's ResNet or the package `resnest`'s, weights random."""
    if backbone.startswith("resnest"):
        import resnest.torch

        return getattr(resnest.torch, backbone)(num_classes=num_classes)
    if backbone.startswith("resnet"):
        return _resnet(backbone, num_classes)
    import geffnet

    return geffnet.create_model(f"tf_{backbone}", num_classes=num_classes)


def _resnet(backbone: str, num_classes: int) -> Any:
    """Returns MONAI's network in two dimensions, as torchvision has it."""
    from monai.networks.nets import ResNet, resnet

    depth = int(re.findall(r"\d+", backbone)[0])
    small = backbone.endswith("_small")
    return ResNet(
        "basic" if depth < 50 else "bottleneck",
        list(BLOCKS[depth]),
        resnet.get_inplanes(),
        spatial_dims=2,
        num_classes=num_classes,
        bias_downsample=False,
        conv1_t_size=3 if small else 7,
        conv1_t_stride=1 if small else 2,
        no_max_pool=small,
    )
