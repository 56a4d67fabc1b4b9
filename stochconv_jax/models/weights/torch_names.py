"""How PyTorch's modules call what ours hold."""

from collections.abc import Callable, Collection

_ARRAYS = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


def torch_names(names: Collection[str], module_of: Callable[[str], str]) -> dict[str, str]:
    """Returns PyTorch's names by ours, given what a layer of ours is called there."""
    found = {}
    for name in names:
        module, _, array = name.rpartition(".")
        found[name] = f"{module_of(module)}.{_ARRAYS[array]}"
    return found
