"""A network of a PyTorch package and ours with the same random weights and statistics."""

import numpy as np
import torch
from flax import nnx
from support import abstract

from stochconv_jax.models.parameter_names import canonical_name
from stochconv_jax.models.two_branch import TwoBranchNetwork


def torch_twin(theirs, backbone, names, size, num_outputs):
    """Returns both networks' logits for two random images of size x size.

    Args:
      theirs: a PyTorch network; its weights and statistics are drawn anew.
      backbone: our network's name.
      names: from our names, a collection, to theirs, such as `resnet_names`.
      size: side of the images.
      num_outputs: classes.
    """
    randomise(theirs)
    ours = abstract(backbone, branches=("global",), num_outputs=num_outputs)
    copy_weights(theirs, ours, names)
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype(np.float32)
    return torch_logits(theirs, ours, images), logits_of(ours, images)


def logits_of(ours: TwoBranchNetwork, images):
    """Returns our logits of images of 0 to 255."""
    graph, state = nnx.split(ours)
    forward = nnx.jit(lambda model, images: model(images, None, nnx.Rngs(0).params()))
    return np.array(forward(nnx.merge(graph, state), images))


def torch_logits(theirs, ours: TwoBranchNetwork, images):
    """Returns PyTorch's logits of images of 0 to 255, normalised as ours are."""
    conv = ours.branches["global"].conv
    normalised = (images / 255 - np.array(conv.mean)) / np.array(conv.deviation)
    with torch.no_grad():
        x = torch.tensor(normalised.transpose(0, 3, 1, 2), dtype=torch.float32)
        return theirs.eval()(x).numpy()


def randomise(model) -> None:
    """Gives every weight and statistic a random value that keeps the activations near one."""
    rng = np.random.default_rng(0)
    for name, values in model.state_dict().items():
        if values.ndim > 1:
            scale = np.sqrt(2 / np.prod(values.shape[1:]))
            drawn = rng.normal(0, scale, values.shape)
        elif name.endswith(("running_var", "weight")):
            # At scale one the sums of residual blocks grow with depth.
            scale = 0.1 if "layer" in name and name.endswith(("bn2.weight", "bn3.weight")) else 1
            drawn = scale * rng.uniform(0.5, 1.5, values.shape)
        elif values.dtype == torch.float32:
            drawn = rng.normal(0, 0.2, values.shape)
        else:
            continue
        values.copy_(torch.tensor(drawn))


def copy_weights(theirs, ours: TwoBranchNetwork, names) -> None:
    """Copies PyTorch's arrays by their names; every array of either network is used once."""
    variables = {
        canonical_name(path): variable
        for part in nnx.state(ours, nnx.Param, nnx.BatchStat)
        for path, variable in nnx.to_flat_state(part)
    }
    arrays = {
        name: values.numpy()
        for name, values in theirs.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    mapping = names(variables)
    assert sorted(mapping.values()) == sorted(arrays)
    for name, variable in variables.items():
        array = arrays[mapping[name]]
        if array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)
        elif array.ndim == 2:
            array = array.T
        variable.set_value(array.reshape(variable.shape))
