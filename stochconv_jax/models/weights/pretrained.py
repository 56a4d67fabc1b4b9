"""Plain networks with the weights and the classifier that others trained."""

from stochconv_jax.errors import InputError
from stochconv_jax.models.creation import model_in_shapes
from stochconv_jax.models.families import make_backbone
from stochconv_jax.models.two_branch import TwoBranchNetwork
from stochconv_jax.models.weights.assignment import assign
from stochconv_jax.models.weights.naming import names_in_file
from stochconv_jax.models.weights.published import weights_path
from stochconv_jax.models.weights.read_file import read_weight_file


def load_pretrained(name_or_path: str, backbone: str = "") -> TwoBranchNetwork:
    """Returns a plain network with its weights and its classifier, called like every other.

    Args:
      name_or_path: weights by name, such as "efficientnet_lite0", or the path of a file.
      backbone: name of the network, where the file does not say it.

    Raises:
      InputError: the weights are not there, damaged, or of another network.
    """
    file = read_weight_file(weights_path(name_or_path))
    name = backbone or file.backbone
    if not name:
        raise InputError(f"{file.path} does not say of which network it is; name the backbone")
    network = make_backbone(
        name,
        file.pixels or "backbone",
        file.conventions or "backbone",
        file.pixel_mean,
        file.pixel_deviation,
    )
    bias = names_in_file(network, ["classifier.bias"], file).get("classifier.bias")
    if bias not in file.arrays:
        raise InputError(f"{file.path} holds no classifier of {name}")
    outputs = file.arrays[bias].shape[0]
    # Every array of it is the file's.
    model = model_in_shapes(network, branches=("global",), num_outputs=outputs)
    assign(file, network, model, classifier=True).fill(model)
    return model
