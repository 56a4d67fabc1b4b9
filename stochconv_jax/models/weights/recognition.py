"""Of which networks a file of weights may be, where it does not say so."""

from stochconv_jax.errors import InputError
from stochconv_jax.models.backbone import Backbone
from stochconv_jax.models.families import BACKBONES, make_backbone
from stochconv_jax.models.two_branch import TwoBranchNetwork
from stochconv_jax.models.weights.assignment import Assignment, assign, in_our_layout, plain_network
from stochconv_jax.models.weights.naming import names_in_file
from stochconv_jax.models.weights.weight_file import WeightFile


def classes_of(file: WeightFile, backbone: Backbone) -> int:
    """Returns the outputs of the classifier that a file holds; 0 where it holds none."""
    name = names_in_file(backbone, ["classifier.bias"], file).get("classifier.bias", "")
    return file.arrays[name].shape[0] if name in file.arrays else 0


def recognise(file: WeightFile) -> tuple[str, Assignment]:
    """Returns the name of the backbone that a file is of, and what becomes of its arrays there.

    Raises:
      InputError: it is of none that is known, or of a damaged or a larger one.
    """
    if file.backbone:
        network = make_backbone(file.backbone)
        return file.backbone, assign_to_plain(file, network)
    for name, backbone in BACKBONES.items():
        if _may_be(file, backbone):
            try:
                return name, assign_to_plain(file, backbone)
            except InputError:
                continue
    raise InputError(
        f"{file.path} is of no backbone that is known by its names and shapes; name one with "
        "--backbone to be told what differs"
    )


def assign_to_plain(file: WeightFile, backbone: Backbone) -> Assignment:
    """Returns what becomes of a file in the plain network, its classifier included."""
    classes = classes_of(file, backbone)
    model: TwoBranchNetwork = plain_network(backbone, max(1, classes))
    return assign(file, backbone, model, classifier=classes > 0)


def _may_be(file: WeightFile, backbone: Backbone) -> bool:
    """Compares the two ends, which takes no time."""
    stem = (*backbone.stem_kernel_size, 3, backbone.stem_features)
    theirs = names_in_file(backbone, ["conv.kernel"], file).get("conv.kernel", "")
    found = file.arrays.get(theirs)
    return (
        found is not None and in_our_layout(found, file.layout, "conv.kernel", stem).shape == stem
    )
