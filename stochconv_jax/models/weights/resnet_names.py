"""What the variables of a ResNet or a ResNeSt are called in PyTorch's packages."""

from collections.abc import Collection

from stochconv_jax.models.weights.torch_names import torch_names

# Layers by their place in a block. ResNeSt's second convolution is a module of its own, and its
# shortcut begins with a pooling.
BLOCK = {
    "conv1": "conv1",
    "norm1": "bn1",
    "conv2": "conv2",
    "norm2": "bn2",
    "conv3": "conv3",
    "norm3": "bn3",
    "shortcut": "downsample.0",
    "shortcut_norm": "downsample.1",
}
SPLIT_BLOCK = BLOCK | {
    "conv2.conv": "conv2.conv",
    "conv2.norm": "conv2.bn0",
    "conv2.reduce": "conv2.fc1",
    "conv2.reduce_norm": "conv2.bn1",
    "conv2.expand": "conv2.fc2",
    "shortcut": "downsample.1",
    "shortcut_norm": "downsample.2",
}
OUTSIDE = {"conv": "conv1", "stem_tail.norm": "bn1", "classifier": "fc"}
DEEP_STEM = OUTSIDE | {
    "conv": "conv1.0",
    "stem_tail.norm1": "conv1.1",
    "stem_tail.conv2": "conv1.3",
    "stem_tail.norm2": "conv1.4",
    "stem_tail.conv3": "conv1.6",
    "stem_tail.norm3": "bn1",
}


def resnet_names(names: Collection[str]) -> dict[str, str]:
    """Returns the name that torchvision, timm and the package `resnest` give to each of ours.

    Args:
      names: canonical names of the plain network; see `models/parameter_names.py`.

    Raises:
      KeyError: a name is not one of this family.
    """
    deep = "stem_tail.conv2.kernel" in names
    outside, block = (DEEP_STEM, SPLIT_BLOCK) if deep else (OUTSIDE, BLOCK)

    def module(name: str) -> str:
        if not name.startswith("stage"):
            return outside[name]
        stage, place, layer = name.split(".", 2)
        return f"layer{stage.removeprefix('stage')}.{place}.{block[layer]}"

    return torch_names(names, module)
