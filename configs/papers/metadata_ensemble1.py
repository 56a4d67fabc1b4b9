"""Six convolutions on the image, one dense layer on the patient's age, sex and site: one logit.

    python train.py --config=configs/papers/metadata_ensemble1.py --workdir=runs/ensemble1 \
        --config.data.directory=ISIC_2020

ISIC_2020 holds the challenge's images and ISIC_2020_Training_GroundTruth_v2.csv; prepared images of
512x512 will do as well (`:prepared` after the file). Source: Mashhadi 2023, "An Application of
Split Attention Networks: Melanoma Detection", sections 3.1 to 3.3.6; it publishes no figures. What
differs: splits go by patient; age and the missing values have inputs of their own, so that there
are 12 in place of the thesis's 7 (age, one for two sexes, five for six sites); flips come with the
other changes of place. What it does not tell is chosen here: the learning rate, its factor for the
convolutions, weight decay, and the most epochs. Its last training, on training and validation
images, is data.retrain (docs/training.md).
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base


def get_config(data: str = "folder") -> ConfigDict:
    """Returns the first ensemble on "folder", "prepared" or "isic", locked."""
    config = base.get_config(data)
    config.data.origin = (
        "fetch the training images and ISIC_2020_Training_GroundTruth_v2.csv from "
        "challenge2020.isic-archive.com and name their directory"
    )
    config.data.table = "ISIC_2020_Training_GroundTruth_v2.csv"
    config.data.image_column = "image_name"
    config.data.group_column = "patient_id"
    config.data.numeric_columns = ("age",)
    config.data.category_columns = ("sex", "site")
    config.data.validation_fraction = 0.16  # 20% of what does not test
    config.data.test_fraction = 0.2
    config.data.high_size = (512, 512)
    config.data.crop_size = config.data.low_size = (416, 416)
    config.data.equal_classes = True
    _augment(config.data.augment)
    config.model.backbone = "six_conv_cnn"
    config.model.branches = ("global", "metadata")
    config.model.dropout_rate = 0.2
    config.model.batch_norm_momentum = 0.9  # PyTorch's own
    config.train.batch_size = 16
    # Half a pass over the 20,827 benign images that train and as many visits to malignant ones.
    config.train.steps_per_epoch = 1302
    config.train.epochs = 10
    config.train.patience = 2
    config.train.optimizer = "adam"
    config.train.learning_rate = 1e-3
    config.train.weight_decay = 1e-4
    config.train.schedule = "steps"
    config.train.step_epochs = 2
    config.train.step_factor = 0.1
    return config.lock()


def _augment(augment: ConfigDict) -> None:
    """Sets the thesis's section 3.2, in its order but for the flips."""
    augment.order = (
        (0.5, "hsv_shift"),
        (0.2, "fancy_pca"),
        (0.2, "noise"),
        (1.0, "flips"),
        (0.5, "shift", "scale", "rotation"),
        (0.5, "brightness", "contrast"),
        (1.0, "crop"),
    )
    augment.crop_area = augment.crop_aspect = (1.0, 1.0)
    augment.hsv_shift = (5.0, 10.0, 5.0)
    augment.fancy_pca = 0.1
    augment.fancy_pca_axes = "image"
    augment.noise_least, augment.noise = 10.0**0.5, 50.0**0.5  # variances of 10 to 50
    augment.shift = augment.scale = 0.25
    augment.rotation = 30.0
    augment.brightness = augment.contrast = 0.1
