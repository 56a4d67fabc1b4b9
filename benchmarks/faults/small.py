"""A config whose commands start in seconds: one block of EfficientNet, windows and all.

`get_config(what)`: "run" is the network; "shipped" has a backbone that every command knows, for
`stochconv retrain`, which is given no file; "study" is a study of two models.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base
from stochconv_jax.configs.studies.base import TWO_BRANCHES, make_study
from stochconv_jax.models import BACKBONES
from stochconv_jax.models.efficientnet import EfficientNet

EPOCHS, STEPS = 5, 6


class OneBlock(EfficientNet):
    """EfficientNet with a stem of one tap that ends with its first block."""

    stem_kernel_size = (1, 1)

    @property
    def repeats(self) -> tuple[int, ...]:
        """Blocks of the one stage."""
        return super().repeats[:1]


BACKBONES["efficientnet_one_block"] = OneBlock(0.5, 1.0, 112, 0.2)


def get_config(what: str = "run") -> ConfigDict:
    """Returns the config that `what` names."""
    config = base.get_config()
    config.data.synthetic_count = 60
    config.data.high_size = (128, 128)
    config.data.low_size = (32, 32)
    config.model.batch_norm_momentum = 0.9
    config.train.batch_size = 8
    config.train.epochs = EPOCHS
    config.eval.batch_size = 12
    config.eval.samples = 2
    config.eval.resamples = 20
    # Within each epoch some checkpoints, wherever the clock wants them.
    config.train.checkpoint_minutes = 0.002
    config.model.dropout_rate = 0.3
    if what == "shipped":
        config.model.backbone = "receptive_cnn_no_batch_norm"
        config.train.epochs = 2
        return config
    config.model.backbone = "efficientnet_one_block"
    if what == "study":
        config.train.epochs = 2
        models = {"base": {}, "stem": {"model": {"branches": TWO_BRANCHES, "join": "stem"}}}
        return make_study(config, models, seeds=(0,))
    config.model.branches = TWO_BRANCHES
    config.model.windows = 4
    config.model.join = "stem"
    return config
