"""Which of the published namings a file of weights follows."""

from collections.abc import Callable, Collection

from stochconv_jax.models.backbone import Backbone
from stochconv_jax.models.efficientnet import EfficientNet
from stochconv_jax.models.resnest import ResNeSt
from stochconv_jax.models.resnet import ResNet
from stochconv_jax.models.weights.efficientnet_names import (
    efficientnet_pytorch_names,
    keras_names,
    timm_names,
)
from stochconv_jax.models.weights.resnet_names import resnet_names
from stochconv_jax.models.weights.weight_file import WeightFile

Naming = Callable[[Collection[str]], dict[str, str]]

NAMINGS: dict[type, tuple[Naming, ...]] = {
    EfficientNet: (timm_names, efficientnet_pytorch_names, keras_names),
    ResNet: (resnet_names,),
    ResNeSt: (resnet_names,),
}


def names_in_file(backbone: Backbone, names: Collection[str], file: WeightFile) -> dict[str, str]:
    """Returns the file's names by ours, in the naming that finds most of them there."""
    if file.layout == "ours":
        return {name: name for name in names}
    found = (naming(names) for naming in NAMINGS.get(type(backbone), ()))
    return max(found, key=lambda theirs: len(set(theirs.values()) & set(file.arrays)), default={})
