"""What published implementations call the layers of EfficientNet.

Each function takes our own names of a plain network's arrays and returns theirs by ours.
"""

from collections.abc import Collection

from stochconv_jax.models.weights.torch_names import torch_names

_BLOCK = {
    "depthwise": "conv_dw",
    "squeeze_excitation.reduce": "se.conv_reduce",
    "squeeze_excitation.expand": "se.conv_expand",
}
_EXPANDED = _BLOCK | {
    "expand": "conv_pw",
    "expand_norm": "bn1",
    "depthwise_norm": "bn2",
    "project": "conv_pwl",
    "project_norm": "bn3",
}
_NOT_EXPANDED = _BLOCK | {"depthwise_norm": "bn1", "project": "conv_pw", "project_norm": "bn2"}

_KERAS_BLOCK = {
    "expand": "expand_conv",
    "expand_norm": "expand_bn",
    "depthwise": "dwconv",
    "depthwise_norm": "bn",
    "squeeze_excitation.reduce": "se_reduce",
    "squeeze_excitation.expand": "se_expand",
    "project": "project_conv",
    "project_norm": "project_bn",
}
_KERAS_ENDS = {
    "conv": "stem_conv",
    "stem_tail.norm": "stem_bn",
    "head.conv": "top_conv",
    "head.activation.norm": "top_bn",
    "classifier": "predictions",
}
_KERAS_NORM = {
    "scale": "gamma",
    "bias": "beta",
    "mean": "moving_mean",
    "var": "moving_variance",
}


def timm_names(names: Collection[str]) -> dict[str, str]:
    """Returns timm's names, which geffnet shares."""
    ends = {
        "conv": "conv_stem",
        "stem_tail.norm": "bn1",
        "head.conv": "conv_head",
        "head.activation.norm": "bn2",
        "classifier": "classifier",
    }

    def module(name: str) -> str:
        if name in ends:
            return ends[name]
        stage, block, layer = _split(name)
        expanded = f"stage{stage}.{block}.expand.kernel" in names
        table = _EXPANDED if expanded else _NOT_EXPANDED
        return f"blocks.{stage - 1}.{block}.{table[layer]}"

    return torch_names(names, module)


def efficientnet_pytorch_names(names: Collection[str]) -> dict[str, str]:
    """Returns the names of the package efficientnet_pytorch, which counts blocks through."""
    ends = {
        "conv": "_conv_stem",
        "stem_tail.norm": "_bn0",
        "head.conv": "_conv_head",
        "head.activation.norm": "_bn1",
        "classifier": "_fc",
    }
    layers = {
        "expand": "_expand_conv",
        "expand_norm": "_bn0",
        "depthwise": "_depthwise_conv",
        "depthwise_norm": "_bn1",
        "squeeze_excitation.reduce": "_se_reduce",
        "squeeze_excitation.expand": "_se_expand",
        "project": "_project_conv",
        "project_norm": "_bn2",
    }
    blocks = sorted({_split(name)[:2] for name in names if name.startswith("stage")})

    def module(name: str) -> str:
        if name in ends:
            return ends[name]
        stage, block, layer = _split(name)
        return f"_blocks.{blocks.index((stage, block))}.{layers[layer]}"

    return torch_names(names, module)


def keras_names(names: Collection[str]) -> dict[str, str]:
    """Returns the names of keras.applications, as LAYER/VARIABLE."""

    def layer_of(module: str) -> str:
        if module in _KERAS_ENDS:
            return _KERAS_ENDS[module]
        stage, block, layer = _split(module)
        return f"block{stage}{chr(ord('a') + block)}_{_KERAS_BLOCK[layer]}"

    found = {}
    for name in names:
        module, _, array = name.rpartition(".")
        variable = _KERAS_NORM[array] if module.endswith("norm") else array
        found[name] = f"{layer_of(module)}/{variable}"
    return found


def _split(name: str) -> tuple[int, int, str]:
    """Splits "stage3.1.expand" or a longer name into stage, block and layer."""
    stage, block, layer = name.split(".", 2)
    return int(stage.removeprefix("stage")), int(block), layer
