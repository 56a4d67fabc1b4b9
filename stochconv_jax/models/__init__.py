"""EfficientNet backbones and the networks that join two of them."""

from stochconv_jax.models.efficientnet import BACKBONES, EfficientNet
from stochconv_jax.models.two_branch import TwoBranchNetwork, create_model

__all__ = ["BACKBONES", "EfficientNet", "TwoBranchNetwork", "create_model"]
