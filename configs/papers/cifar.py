"""EfficientNet-B0 on CIFAR-10 and CIFAR-100, fine-tuned or from scratch: Song 2020, section 4.1.

    python -m stochconv_jax.prepare cifar --source CIFAR --classes 10 --size 224 \
        --output prepared/cifar10
    python train.py --config=configs/papers/cifar.py:10 --workdir=runs/cifar10 \
        --config.model.weights=efficientnet_b0.safetensors
    python eval.py --workdir=runs/cifar10

`:100` is CIFAR-100, prepared as prepared/cifar100; `:10_scratch` and `:100_scratch` train from
scratch. The thesis' accuracies on the test split: 0.9673 and 0.8446 fine-tuned, 0.8593 and 0.5704
from scratch.

As in the thesis' appendix: batches of 32, 40 epochs, weight decay 1e-5, a rate of 1e-3 that is
halved when validation stands still; fine-tuned by SGD with momentum 0.99 and a patience of one
epoch, from scratch by Adam and a patience of two; pixels normalised by the data's mean and
deviation as told there, fine-tuned as well. Images are 224x224, as ImageNet's weights are used to.
The thesis tells of no augmentation, so that there is none.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base
from stochconv_jax.errors import InputError

# (mean, deviation) of the training images, by the number of classes.
PIXELS = {
    "10": ((0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)),
    "100": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
}


def get_config(argument: str = "10") -> ConfigDict:
    """Returns the config for "10" or "100" classes, or "10_scratch" or "100_scratch", locked."""
    classes, _, scratch = argument.partition("_")
    if classes not in PIXELS or scratch not in ("", "scratch"):
        raise InputError(
            f"the config has no data {argument!r}; write 10, 100, 10_scratch or 100_scratch"
        )
    config = base.get_config("prepared")
    config.data.directory = f"prepared/cifar{classes}"
    config.data.origin = (
        f"fetch the binary version of CIFAR-{classes} from cs.toronto.edu/~kriz/cifar.html: python "
        f"-m stochconv_jax.prepare cifar --source CIFAR --classes {classes} --size 224 --output "
        f"prepared/cifar{classes}"
    )
    config.data.high_size = (224, 224)
    config.data.low_size = (224, 224)
    augment = config.data.augment
    augment.crop_area = augment.crop_aspect = (1.0, 1.0)
    augment.rotation = 0.0
    augment.flips = False
    config.model.dropout_rate = 0.2
    config.model.pixels = "dataset"
    config.model.pixel_mean, config.model.pixel_deviation = PIXELS[classes]
    train = config.train
    train.epochs = 40
    train.batch_size = 32
    train.learning_rate = 1e-3
    train.weight_decay = 1e-5
    train.schedule = "plateau"
    train.step_factor = 0.5
    if scratch:
        train.optimizer = "adam"
        train.plateau_patience = 2
    else:
        train.optimizer = "sgd"
        train.momentum = 0.99
        train.plateau_patience = 1
    config.eval.split = "test"
    return config.lock()
