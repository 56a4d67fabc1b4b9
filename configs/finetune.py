"""EfficientNet-Lite0 with ImageNet's weights, fine-tuned on anybody's own images.

    make weights
    python train.py --config=configs/finetune.py:folder --workdir=runs/mine \
        --config.data.directory=path/to/images --config.data.table=labels.csv

For some hundreds to some thousands of images, minutes to an hour on two cores. To look at random
windows of larger images as well, add
--config.model.branches="('global','stochastic')" --config.data.high_size="(896,896)".
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base


def get_config(data: str = "folder") -> ConfigDict:
    """Returns the config for "folder", "prepared" or any other data of `base`, locked."""
    config = base.get_config(data)
    config.data.high_size = (224, 224)
    config.data.low_size = (224, 224)
    config.model.backbone = "efficientnet_lite0"
    config.model.weights = "efficientnet_lite0"
    config.model.batch_norm_momentum = 0.9
    config.train.epochs = 12
    config.train.batch_size = 16
    config.train.optimizer = "adamw"
    config.train.learning_rate = 1e-3
    config.train.weight_decay = 0.05
    config.train.schedule = "cosine"
    config.train.warmup_epochs = 1.0
    config.train.label_smoothing = 0.05
    config.train.clip_norm = 1.0
    return config.lock()
