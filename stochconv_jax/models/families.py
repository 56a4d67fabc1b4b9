"""The backbones by their names."""

from stochconv_jax.models.backbone import Backbone
from stochconv_jax.models.efficientnet import EFFICIENTNETS
from stochconv_jax.models.receptive_cnn import RECEPTIVE_CNNS
from stochconv_jax.models.resnest import RESNESTS
from stochconv_jax.models.resnet import RESNETS
from stochconv_jax.models.six_conv_cnn import SIX_CONV_CNNS

BACKBONES: dict[str, Backbone] = {
    **EFFICIENTNETS,
    **RESNETS,
    **RESNESTS,
    **RECEPTIVE_CNNS,
    **SIX_CONV_CNNS,
}
