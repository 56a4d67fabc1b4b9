"""Backbones and the networks that join two of them."""

from stochconv_jax.models.context import Context
from stochconv_jax.models.creation import create_model
from stochconv_jax.models.efficientnet import EfficientNet
from stochconv_jax.models.families import BACKBONES
from stochconv_jax.models.two_branch import Outputs, TwoBranchNetwork
from stochconv_jax.models.weights.pretrained import load_pretrained

__all__ = [
    "BACKBONES",
    "Context",
    "EfficientNet",
    "Outputs",
    "TwoBranchNetwork",
    "create_model",
    "load_pretrained",
]
