"""Seven diagnoses of skin at 64x64, classes drawn equally: Sainadh 2023, table 4.

    python -m stochconv_jax.prepare folder --source HAM10000 --label-column dx \
        --group-column lesion_id --size 64 --output prepared/ham10000_64
    python train.py --config=configs/papers/skin_lesions.py:resnet18_small --workdir=runs/resnet18

After the colon stands the network: receptive_cnn, the same without BatchNorm
(receptive_cnn_no_batch_norm), resnet18_small or resnet34_small, the paper's, or the cheaper
resnet18. After it, divided by commas, may stand `rmsprop` or `adam`, in place of SGD
with momentum, and `plain`, without augmentation, as in the table's first two columns.

Published accuracies: the small CNN without BatchNorm 0.678, with it 0.723, with augmentation 0.739;
resnet18 0.82 and 0.889; resnet34 0.8321 and 0.8742; after 20 epochs SGD 0.82, RMSprop 0.734, Adam
0.76 (table 5). They were judged on copies of training images (docs/papers.md); here other lesions
judge. The paper does not print its network without BatchNorm; models/receptive_cnn.py says what is
chosen for it.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base
from stochconv_jax.errors import InputError

NETWORKS = (
    "receptive_cnn",
    "receptive_cnn_no_batch_norm",
    "resnet18_small",
    "resnet34_small",
    "resnet18",
)
# The rates are ours; the paper does not tell its own.
RATES = {"sgd": 0.01, "rmsprop": 1e-3, "adam": 1e-3}


def get_config(argument: str = "resnet18_small") -> ConfigDict:
    """Returns the config of a network such as "receptive_cnn" or "resnet18_small,adam", locked."""
    network, *options = argument.split(",")
    unknown = set(options) - {*RATES, "plain"}
    if network not in NETWORKS or unknown:
        raise InputError(
            f"the config has no network {argument!r}; write one of {', '.join(NETWORKS)}, and "
            f"after a comma {', '.join(RATES)} or plain"
        )
    config = base.get_config("prepared")
    config.data.directory = "prepared/ham10000_64"
    config.data.origin = (
        "fetch HAM10000 from doi.org/10.7910/DVN/DBW86T: python -m stochconv_jax.prepare folder "
        "--source HAM10000 --label-column dx --group-column lesion_id --size 64 --output "
        "prepared/ham10000_64"
    )
    config.data.high_size = config.data.low_size = (64, 64)
    config.data.equal_classes = True
    _augment(config.data.augment, plain="plain" in options)
    config.model.backbone = network
    config.model.dropout_rate = 0.01 if network.startswith("receptive_cnn") else 0.0
    config.model.batch_norm_momentum = 0.9
    config.train.optimizer = next((name for name in options if name in RATES), "sgd")
    config.train.learning_rate = RATES[config.train.optimizer]
    config.train.schedule = "plateau"
    config.train.epochs = 20
    config.train.steps_per_epoch = 175  # 5,600 images, four fifths of 1,000 a class
    return config.lock()


def _augment(augment: ConfigDict, plain: bool) -> None:
    """Sets figure 32's augmentations, or none; how strong they were is told of the hue alone.

    Its brightness, contrast and saturation are factors of 0.01 to 0.1, which would leave nothing
    of an image; taken for 1 +- 0.1.
    """
    augment.crop_area = augment.crop_aspect = (1.0, 1.0)
    if plain:
        augment.rotation, augment.flips = 0.0, False
        return
    augment.brightness = augment.contrast = augment.saturation = 0.1
    augment.hue = 0.15
    augment.blur = 1.4
    augment.cutout = 0.25
