"""What becomes of every array of a file of weights."""

from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx

from stochconv_jax.errors import InputError
from stochconv_jax.models.backbone import Backbone
from stochconv_jax.models.creation import model_in_shapes
from stochconv_jax.models.parameter_names import canonical_name, place_name
from stochconv_jax.models.two_branch import TwoBranchNetwork
from stochconv_jax.models.weights.naming import names_in_file
from stochconv_jax.models.weights.weight_file import Layout, WeightFile

# Parts of names that mark what a network of ours has no use for, and why.
PASSED_OVER = {
    "num_batches_tracked": "PyTorch's counter of steps",
    "aux_bn": "AdvProp's statistics of adversarial images",
    "normalization": "Keras's normalisation of pixels, which `model.pixels` does here",
}


class Assignment(NamedTuple):
    """Where the arrays of a file go.

    Attributes:
      arrays: what is loaded, in our layout, by our own names.
      sources: the file's names of the same.
      anew: names of ours that the file does not fill, each with the reason.
      passed_over: names of the file that nothing of ours is filled by, each with the reason.
      joined: whether our names are those of places in a joined network.
    """

    arrays: dict[str, np.ndarray]
    sources: dict[str, str]
    anew: dict[str, str]
    passed_over: dict[str, str]
    joined: bool = False

    def fill(self, model: TwoBranchNetwork) -> None:
        """Writes the arrays into every place of a network, or its shapes, that has their name."""
        for kind in (nnx.Param, nnx.BatchStat):
            state = nnx.state(model, kind)
            for path, variable in nnx.to_flat_state(state):
                array = self.arrays.get(_name(path, self.joined))
                if array is not None:
                    variable.set_value(jax.numpy.asarray(array, variable.get_value().dtype))
            nnx.update(model, state)


def assign(
    file: WeightFile, backbone: Backbone, model: TwoBranchNetwork, classifier: bool = False
) -> Assignment:
    """Finds a place for every array of a file in a network, or the reason why it has none.

    A layer that stands in both branches is filled in both from one array. Layers that are wider
    here than in the plain network, as those behind a join, begin anew.

    Args:
      file: of weights.
      backbone: of the network.
      model: the network; shapes suffice.
      classifier: whether its dense layer is filled as well.

    Raises:
      InputError: the file lacks an array, has one more than is known, or one of another shape.
    """
    here = _shapes(model, file.joined)
    shapes = here if file.joined else _shapes(plain_network(backbone))
    # Of classes the file has as many as it happens to have.
    shapes |= {name: here[name] for name in here if _classifies(name)}
    wanted = {name: shape for name, shape in shapes.items() if classifier or not _classifies(name)}
    sources = _sources(file, names_in_file(backbone, wanted, file))
    arrays, anew = {}, dict.fromkeys(set(shapes) - set(wanted), "the classifier is new")
    for name, theirs in sources.items():
        array = in_our_layout(file.arrays[theirs], file.layout, name, wanted[name])
        if array.shape != wanted[name]:
            raise InputError(
                f"{file.path}: {theirs} has the shape {array.shape}, and {name} {wanted[name]}; "
                "give weights of the same backbone"
                + (", or set model.weights_classifier to False" if _classifies(name) else "")
            )
        if here[name] == array.shape:
            arrays[name] = array
        else:
            anew[name] = f"wider here, {here[name]}, than in the plain network, {array.shape}"
    left = names_in_file(backbone, anew, file) if anew else {}
    anew |= dict.fromkeys(set(here) - set(shapes), "the plain network has no such layer")
    passed_over = _passed_over(file, set(sources.values()), set(left.values()))
    return Assignment(arrays, sources, anew, passed_over, file.joined)


def in_our_layout(
    array: np.ndarray, layout: Layout, name: str, shape: tuple[int, ...] | None
) -> np.ndarray:
    """Turns a kernel to [kh, kw, in, out], or [in, out] where ours is a matrix."""
    if layout == "torch" and array.ndim in (2, 4):
        array = array.transpose(*range(2, array.ndim), 1, 0)
    if layout == "keras" and array.ndim == 4 and "depthwise" in name:
        array = array.swapaxes(2, 3)
    if shape is not None and array.ndim == 4 and len(shape) == 2 and array.shape[:2] == (1, 1):
        array = array[0, 0]
    return array


def plain_network(backbone: Backbone, num_outputs: int = 1) -> TwoBranchNetwork:
    """Returns the plain network of a backbone in shapes only."""
    return model_in_shapes(backbone, branches=("global",), num_outputs=num_outputs)


def _shapes(model: TwoBranchNetwork, joined: bool = False) -> dict[str, tuple[int, ...]]:
    return {
        _name(path, joined): tuple(variable.shape)
        for kind in (nnx.Param, nnx.BatchStat)
        for path, variable in nnx.to_flat_state(nnx.state(model, kind))
    }


def _name(path: tuple[Any, ...], joined: bool) -> str:
    return place_name(path) if joined else canonical_name(path)


def _classifies(name: str) -> bool:
    return name.startswith("classifier.")


def _sources(file: WeightFile, names: dict[str, str]) -> dict[str, str]:
    """Returns the file's names by ours, all of which it holds."""
    missing = [theirs for theirs in names.values() if theirs not in file.arrays]
    if 2 * len(missing) >= len(names):
        raise InputError(
            f"{file.path} is of another network: it holds {len(names) - len(missing)} of the "
            f"{len(names)} arrays by their names; give weights of the same backbone"
        )
    if missing:
        raise InputError(f"{file.path} lacks {_some(missing)}; give weights of the same backbone")
    return names


def _passed_over(file: WeightFile, used: set[str], anew: set[str]) -> dict[str, str]:
    found, unknown = {}, []
    for name in set(file.arrays) - used:
        reasons = [reason for part, reason in PASSED_OVER.items() if part in name]
        if name in anew:
            reasons.insert(0, "the classifier is new")
        if reasons:
            found[name] = reasons[0]
        else:
            unknown.append(name)
    if unknown:
        raise InputError(
            f"{file.path} holds {_some(sorted(unknown))}, which the backbone has no place for; "
            "give weights of the same backbone"
        )
    return found


def _some(names: list[str]) -> str:
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{rest}"
