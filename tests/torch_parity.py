"""A network written in PyTorch and ours with the same random weights and statistics."""

import numpy as np
from flax import nnx
from support import abstract

from benchmarks.parity import our_logits, published_logits, randomise
from stochconv_jax.models import BACKBONES
from stochconv_jax.models.parameter_names import canonical_name
from stochconv_jax.models.two_branch import TwoBranchNetwork


def torch_twin(theirs, backbone, names, size, num_outputs):
    """Returns both networks' logits for two random images of size x size.

    Args:
      theirs: a PyTorch network; its weights and statistics are drawn anew.
      backbone: our network's name.
      names: from our names, a collection, to theirs, by the order of their layers.
      size: side of the images.
      num_outputs: classes.
    """
    randomise(theirs)
    ours = abstract(backbone, branches=("global",), num_outputs=num_outputs)
    copy_weights(theirs, ours, names)
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype(np.float32)
    logits = published_logits(theirs.eval(), BACKBONES[backbone], images)
    return logits, np.asarray(our_logits(ours, images))


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
