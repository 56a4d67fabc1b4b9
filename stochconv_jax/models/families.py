"""The backbones by their names."""

from stochconv_jax.models.backbone import Backbone
from stochconv_jax.models.efficientnet import EFFICIENTNETS
from stochconv_jax.models.resnest import RESNESTS
from stochconv_jax.models.resnet import RESNETS

BACKBONES: dict[str, Backbone] = {**EFFICIENTNETS, **RESNETS, **RESNESTS}
