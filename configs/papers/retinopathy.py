"""EfficientNet-B5 on EyePACS, with RandAugment or without: Song 2020, section 4.2.

    python -m stochconv_jax.prepare eyepacs --source EYEPACS --size 456 --output prepared/eyepacs
    python train.py --config=configs/papers/retinopathy.py --workdir=runs/retinopathy \
        --config.model.weights=tf_efficientnet_b5_ns.safetensors
    python eval.py --workdir=runs/retinopathy
    python eval.py --workdir=runs/retinopathy --data=APTOS/train_images --table=APTOS/train.csv \
        --image-column=id_code --label-column=diagnosis

`:randaugment` after the file adds RandAugment. The thesis found noisy student's weights best; they
are pytorch-image-models'. Its figures are the accuracies on the public and on the private test,
which are the rows eyepacs_public and eyepacs_private of the evaluation's subgroups.

As in the thesis' appendix: Adam, weight decay 1e-5, batches of 8, 40 epochs, a rate of 1e-4 halved
every second epoch. Not as there: pixels are normalised as the weights want them, not by the data's
own mean (0.42, 0.22, 0.075) and deviation; validation is drawn among the training patients, where
the thesis took the public test. It tells neither RandAugment's numbers nor what else was done to
images; here they are two operations of magnitude 9 by the weights of shape over colour, and flips.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base
from stochconv_jax.errors import InputError


def get_config(augmentation: str = "plain") -> ConfigDict:
    """Returns the config without RandAugment, "plain", or with it, "randaugment", locked."""
    if augmentation not in ("plain", "randaugment"):
        raise InputError(
            f"the config has no augmentation {augmentation!r}; write plain or randaugment"
        )
    config = base.get_config("prepared")
    config.data.directory = "prepared/eyepacs"
    config.data.high_size = (456, 456)
    config.data.low_size = (456, 456)
    augment = config.data.augment
    augment.crop_area = augment.crop_aspect = (1.0, 1.0)
    augment.rotation = 0.0
    augment.randaugment_operations = 2 if augmentation == "randaugment" else 0
    augment.randaugment_magnitude = 9.0
    augment.randaugment_weights = "shape"
    config.model.backbone = "efficientnet_b5"
    config.model.dropout_rate = 0.4
    train = config.train
    train.epochs = 40
    train.batch_size = 8
    train.optimizer = "adam"
    train.learning_rate = 1e-4
    train.weight_decay = 1e-5
    train.schedule = "steps"
    train.step_epochs = 2
    train.step_factor = 0.5
    config.eval.split = "test"
    return config.lock()
