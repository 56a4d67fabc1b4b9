"""EfficientNet-B5 on EyePACS, plain or with RandAugment and balanced grades: Song 2020, 4.2.

    python -m stochconv_jax.prepare eyepacs --source EYEPACS --size 456 --output prepared/eyepacs
    python train.py --config=configs/papers/retinopathy.py --workdir=runs/retinopathy \
        --config.model.weights=tf_efficientnet_b5_ns.safetensors
    python eval.py --workdir=runs/retinopathy
    python eval.py --workdir=runs/retinopathy --data=APTOS/train_images --table=APTOS/train.csv \
        --image-column=id_code --label-column=diagnosis

`:randaugment` after the file adds RandAugment and balanced sampling. The thesis found noisy
student's weights, which are pytorch-image-models', the best of three. Its accuracies with them, on
the public and on the private test: 0.8708 and 0.8581 plain, 0.8284 and 0.8160 with both. They are
the rows eyepacs_public and eyepacs_private of the evaluation's subgroups.

As in the thesis' appendix: Adam, weight decay 1e-5, batches of 8, 40 epochs, a rate of 1e-4 halved
every second epoch, pixels normalised by the data's mean and deviation as told there, whatever the
weights were trained with; () for model.pixel_mean and model.pixel_deviation measures your images'.
Not as there: validation is drawn among the training patients, where the thesis took the public
test. It tells neither RandAugment's numbers nor what else was done to images; here they are two
operations of magnitude 9 by the weights of shape over colour, and flips.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base
from stochconv_jax.errors import InputError

# Visits to each image in a pass, by grade: those of the thesis' section 3.3, which make them equal.
MULTIPLIERS = (0.272, 2.875, 1.327, 8.047, 9.922)


def get_config(augmentation: str = "plain") -> ConfigDict:
    """Returns the config "plain", or that with "randaugment" and balanced grades, locked."""
    if augmentation not in ("plain", "randaugment"):
        raise InputError(
            f"the config has no augmentation {augmentation!r}; write plain or randaugment"
        )
    config = base.get_config("prepared")
    config.data.directory = "prepared/eyepacs"
    config.data.origin = (
        "its images are EyePACS', of Kaggle's competition diabetic-retinopathy-detection: python "
        "-m stochconv_jax.prepare eyepacs --source EYEPACS --size 456 --output prepared/eyepacs"
    )
    config.data.high_size = (456, 456)
    config.data.low_size = (456, 456)
    augment = config.data.augment
    augment.crop_area = augment.crop_aspect = (1.0, 1.0)
    augment.rotation = 0.0
    if augmentation == "randaugment":
        augment.randaugment_operations = 2
        augment.randaugment_magnitude = 9.0
        augment.randaugment_weights = "shape"
        config.data.class_multipliers = MULTIPLIERS
    config.model.backbone = "efficientnet_b5"
    config.model.dropout_rate = 0.4
    config.model.pixels = "dataset"
    config.model.pixel_mean = (0.42, 0.22, 0.075)
    config.model.pixel_deviation = (0.27, 0.15, 0.081)
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
