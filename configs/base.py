"""Every field of a config with its default, unit and limits.

`get_config(data)` takes what stands after the colon of `--config=configs/NAME.py:DATA`:
  synthetic  the embedded benchmark, drawn on first use (the default)
  folder     your own images: set data.directory and, where they differ, the table and its columns
  prepared   what `python -m stochconv_jax.prepare` left in data.directory
  isic       the same in prepared/isic: the paper's protocol on the ISIC challenges
  table      a CSV without images, for networks that read no pixels: set data.directory
"""

from ml_collections import ConfigDict

from stochconv_jax.errors import InputError

DATA_SETS = {
    "synthetic": "synthetic_lesions",
    "folder": "image_folder",
    "prepared": "prepared",
    "isic": "prepared",
    "table": "table",
}

# The order in which training augments, unless `data.augment.order` says another. "crop" stands for
# crop_area, crop_aspect and data.crop_size, the others for the fields that begin so. Of one step,
# the changes of colour that are linear, the third of these, are one and come first.
AUGMENTATIONS = (
    (1.0, "crop", "shift", "scale", "rotation", "flips"),
    (1.0, "randaugment"),
    (1.0, "brightness", "contrast", "saturation", "hue", "fancy_pca"),
    (1.0, "hsv_shift"),
    (1.0, "blur"),
    (1.0, "noise"),
    (1.0, "cutout"),
)


def get_config(data: str = "synthetic") -> ConfigDict:
    """Returns the plain EfficientNet-B0 under the paper's protocol; fields may only be changed."""
    if data not in DATA_SETS:
        raise InputError(
            f"a config has no data {data!r}; write {' or '.join(DATA_SETS)} after the colon"
        )
    config = ConfigDict()
    config.seed = 0  # of parameters, order, augmentation, dropout and windows
    config.data = _data(DATA_SETS[data])
    if data == "isic":
        config.data.directory = "prepared/isic"
    config.model = _model()
    config.train = _train()
    config.eval = _eval()
    return config.lock()


def _data(name: str) -> ConfigDict:
    data = ConfigDict()
    data.name = name  # synthetic_lesions, image_folder, prepared or table
    data.directory = ""  # where images lie or were prepared; table: where the table lies
    data.origin = ""  # where to fetch them, told where data.directory is not there
    data.table = "labels.csv"  # image_folder, table: CSV, as given or within the directory
    data.image_column = "image"  # file names; the extension may be left out
    data.label_column = "target"  # classes; of prepared ISIC images also dx (8) or dx7 (7 classes)
    data.group_column = ""  # what must stay in one split, such as the patient; "" for none
    data.split_column = ""  # train, validation, test; or fold_0 (or 0), ..., test; "" to draw them
    data.numeric_columns = ()  # numbers that networks with a metadata branch are given: ("age",)
    data.category_columns = ()  # and categories: ("sex", "site"), or columns of the table's own
    data.positive_class = ""  # of two classes; "" for the last in order
    data.enlarge = True  # image_folder: False leaves out images smaller than high_size
    data.folds = 0  # into which images without splits are divided by group; 0 for none
    data.fold = 0  # of images that are divided into folds, the one that validates
    data.retrain = False  # True, once all is chosen: validation images train, test images validate
    data.feedback = ()  # directories of `stochconv feedback export`, whose images train as well
    data.allow_shared_groups = False  # True trains on splits that share groups, to measure the leak
    data.oversample_before_split = 0  # rows of each class, copies that leak; 0 for no copies
    data.synthetic_count = 1000  # synthetic_lesions: images, half of them of each class
    data.synthetic_seed = 0
    data.validation_fraction = 0.2  # of the groups, in (0, 1)
    data.test_fraction = 0.0  # of the groups, in [0, 1)
    data.split_seed = 0  # apart from `seed`, so that runs with other seeds share their splits
    data.equal_classes = False  # True visits every class as often in a pass as the commonest one
    data.class_multipliers = ()  # visits to each training image in a pass, by class; () for 1 each
    data.high_size = (1024, 1024)  # pixels (height, width) of the large image; multiples of 2
    data.low_size = (224, 224)  # pixels (height, width) of the small image
    data.crop_size = (0, 0)  # (height, width) cut from the large image, at random in training, else
    # from its middle; the small image is this part shrunk; (0, 0) for the whole image
    data.augment = _augment()
    data.prepared_directory = "prepared"  # where prepared data sets are kept
    data.keep_decoded = False  # True keeps decoded images there as well, and says their size
    data.workers = 0  # reader processes; 0 reads with threads
    return data


def _augment() -> ConfigDict:
    """What training does to each image; stochconv_jax/data/pipeline says how."""
    augment = ConfigDict()
    augment.order = AUGMENTATIONS  # (probability, names of fields) of each step; the fields of a
    # step are done all together, or none of them
    augment.crop_area = (0.6, 1.0)  # least and largest share of the image's area, in (0, 1]
    augment.crop_aspect = (3 / 4, 4 / 3)  # least and largest width by height, beside the image's
    augment.shift = 0.0  # along each side by +- this share of it, in [0, 1)
    augment.scale = 0.0  # enlarged by a factor of 1 +- this, in [0, 1)
    augment.rotation = 180.0  # degrees of +- this, in [0, 180]
    augment.flips = True  # left for right and top for bottom, each for half of the images
    augment.randaugment_operations = 0  # drawn for each image; 0 for none
    augment.randaugment_magnitude = 9.0  # of each, 0 to 10
    augment.randaugment_weights = "uniform"  # or shape, which draws those of shape more often
    augment.brightness = 0.0  # factor on pixels of 1 +- this, in [0, 1)
    augment.contrast = 0.0  # factor on the distance from mean grey, 1 +- this, in [0, 1)
    augment.saturation = 0.0  # factor on the distance from a pixel's grey, 1 +- this, in [0, 1)
    augment.hue = 0.0  # turns of the colour wheel of +- this, in [0, 0.5]
    augment.fancy_pca = 0.0  # standard deviation along principal colours; published: 0.1
    augment.fancy_pca_axes = "imagenet"  # or image, for the principal colours of each image
    augment.hsv_shift = (0.0, 0.0, 0.0)  # of hue, saturation, value of +- this, in 180ths, 255ths
    augment.blur = 0.0  # largest standard deviation, pixels of the large image
    augment.noise = 0.0  # standard deviation, grey levels of 0 to 255
    augment.noise_least = 0.0  # draws the variance between this one's and that of `noise`; 0: not
    augment.cutout = 0.0  # side of a square of the mean colour, share of the shorter side, [0, 1)
    return augment


def _model() -> ConfigDict:
    model = ConfigDict()
    model.backbone = "efficientnet_b0"  # any of BACKBONES in stochconv_jax/models/families.py
    model.pixels = "auto"  # imagenet, half ((x/255 - 0.5) / 0.5), unit (x/255), dataset (of the
    # training images' own mean and deviation), or the backbone's own
    model.pixel_mean = ()  # dataset: of red, green and blue, 0 to 1; () to measure it as training
    model.pixel_deviation = ()  # begins, on the small images, without augmentation
    model.conventions = "auto"  # tensorflow or pytorch padding and epsilon, or the backbone's own
    model.weights = ""  # a file or a name of pretrained weights, or a run's directory; "" for none
    model.weights_classifier = False  # True loads the classifier too; it must have the same classes
    model.branches = ("global",)  # any of global, stochastic and metadata, one entry a branch
    model.join = "head"  # stem, head, or the number of the last stage ("1" to "7") before the join
    model.stem_features = 0  # kernels of each stem; 0 for the backbone's own
    model.windows = 0  # windows per image, dividing the kernels; 0 for one window per kernel
    model.window_size = (0, 0)  # (height, width) as data.low_size: (224, 224) for windows of 225
    # pixels with a 3x3 stem; (0, 0) for data.low_size; another one asks for the join "head"
    model.per_image = True  # False draws the windows once per batch, as published
    model.axes = "independent"  # or diagonal, as published
    model.placement = "even"  # over the image together; or independent, the paper's; or guided
    model.pooled_draws = 1  # of windows in a pass, their features pooled before the classifier
    model.draw_pooling = "mean"  # or attention
    model.dropout_rate = 0.3  # before the dense layer, in [0, 1)
    model.batch_norm_momentum = 0.99  # kept of running statistics each step; lower for short runs
    model.remat = False  # True computes blocks again for their gradients, to save memory
    model.compute_dtype = "auto"  # float32, bfloat16, or auto: bfloat16 except on the CPU
    return model


def _train() -> ConfigDict:
    train = ConfigDict()
    train.epochs = 60  # may be raised later to train a finished run further
    train.batch_size = 32  # images per step over all devices; a pass leaves out what fills none
    train.steps_per_epoch = 0  # 0 for one pass over the training split
    train.patience = 0  # epochs with neither a higher validation AUC nor a lower loss; 0: no end
    train.checkpoint_minutes = 10.0  # between checkpoints within an epoch; 0 for none within
    train.optimizer = "rmsprop"  # rmsprop, adam, adamw or sgd
    train.learning_rate = 1e-3
    train.backbone_rate = 1.0  # factor on the rate of all but classifier and branch; 0 freezes
    train.branch_rate = 1.0  # of stochastic and metadata branches
    train.head_rate = 1.0  # of the classifier
    train.schedule = "paper"  # paper, cosine, steps or plateau; training/schedule.py says how
    train.warmup_epochs = 0.0  # in which the rate rises from 0
    train.step_epochs = 2  # steps: epochs from one to the next
    train.step_factor = 0.5  # steps, plateau: factor on the rate
    train.plateau_patience = 2  # plateau: epochs without a lower validation loss
    train.constant_epochs = 15  # paper: the last epoch, counted from 0, before the rate decays
    train.decay_per_epoch = 0.9  # paper: factor on the rate, each later epoch
    train.weight_decay = 0.0  # of kernels; decoupled with adamw
    train.momentum = 0.9  # of sgd
    train.rmsprop_decay = 0.99  # of the mean of squared gradients (PyTorch's alpha)
    train.rmsprop_epsilon = 1e-8  # added to the root of that mean
    train.clip_norm = 0.0  # largest norm of all gradients together; 0 for none
    train.accumulate = 1  # steps whose gradients make one update
    train.average_decay = 0.0  # of the average of the weights that is evaluated; 0 for none
    train.freeze_batch_norm = (
        False  # True normalises by the statistics of the weights, and keeps them
    )
    train.label_smoothing = 0.0  # share of the label that is divided among the classes, in [0, 1)
    train.class_weights = ()  # of each class in the loss, in order of the classes; () for none
    return train


def _eval() -> ConfigDict:
    evaluation = ConfigDict()
    evaluation.samples = 1  # window samples averaged an image
    evaluation.placement = ""  # independent, even or guided windows; "" for the model's own
    evaluation.resamples = 1000  # of the images, behind the intervals
    evaluation.split = "validation"  # train, validation, test or all
    evaluation.batch_size = 32  # images at a time; changes no result
    evaluation.checkpoint = "best"  # by validation score, or latest
    return evaluation
