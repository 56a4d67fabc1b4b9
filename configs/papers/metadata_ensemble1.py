"""Six convolutions on the image, one dense layer on the patient's age, sex and site: one logit.

    python train.py --config=configs/papers/metadata_ensemble1.py --workdir=runs/ensemble1 \
        --config.data.directory=ISIC_2020

ISIC_2020 holds the challenge's images and ISIC_2020_Training_GroundTruth_v2.csv; prepared images
will do as well (`:isic` or `:prepared` after the file). Source: Mashhadi 2023, "An Application of
Split Attention Networks: Melanoma Detection", sections 3.1 to 3.3.6. What differs: splits go by
patient; age and the missing values have inputs of their own, so that there are 12 in place of the
thesis's 7 (age, one for two sexes, five for six sites); and what the thesis does not tell is chosen
here: the learning rate, its factor for the convolutions, weight decay and the number of epochs.
The thesis's last training, on training and validation images, is data.retrain (docs/training.md).
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base

# 32,542 benign images and 584 malignant ones.
CLASS_WEIGHTS = (1.0, 55.7)


def get_config(data: str = "folder") -> ConfigDict:
    """Returns the first ensemble on "folder", "prepared" or "isic", locked."""
    config = base.get_config(data)
    config.data.table = "ISIC_2020_Training_GroundTruth_v2.csv"
    config.data.image_column = "image_name"
    config.data.group_column = "patient_id"
    config.data.numeric_columns = ("age",)
    config.data.category_columns = ("sex", "site")
    config.data.validation_fraction = 0.16  # 20% of what does not test
    config.data.test_fraction = 0.2
    config.data.high_size = (416, 416)
    config.data.low_size = (416, 416)
    config.data.augment.rotation = 30.0
    config.model.backbone = "six_conv_cnn"
    config.model.branches = ("global", "metadata")
    config.model.dropout_rate = 0.2
    config.model.batch_norm_momentum = 0.9  # PyTorch's own
    config.train.batch_size = 16
    # Validation comes twice in a pass over the challenge's 21,200 images that train.
    config.train.steps_per_epoch = 662
    config.train.epochs = 10
    config.train.patience = 2
    config.train.optimizer = "adam"
    config.train.learning_rate = 1e-3
    config.train.weight_decay = 1e-4
    config.train.schedule = "steps"
    config.train.step_epochs = 2
    config.train.step_factor = 0.1
    config.train.class_weights = CLASS_WEIGHTS
    return config.lock()
