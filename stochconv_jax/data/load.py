"""From the `data` section of a config to a data set."""

from typing import Any

from ml_collections import ConfigDict

from stochconv_jax.data.image_dataset import ImageDataset
from stochconv_jax.data.image_folder import ImageFolder, ImageFolderConfig, read_table
from stochconv_jax.data.lesion_drawing import MIN_SIZE
from stochconv_jax.data.synthetic_lesions import CLASSES, SyntheticLesions, SyntheticLesionsConfig
from stochconv_jax.errors import InputError


def load_dataset(config: ConfigDict) -> ImageDataset:
    """Prepares, unless that is done, and opens the data set of a config's `data` section.

    Raises:
      InputError: a field, the table or an image is not usable.
    """
    if config.name == "synthetic_lesions":
        height, width = config.high_size
        if height != width:
            raise InputError(f"data.high_size is {height}x{width}; synthetic lesions are square")
        if height < MIN_SIZE:
            raise InputError(f"data.high_size is {height}x{width}; lesions have {MIN_SIZE} or more")
        builder_config = SyntheticLesionsConfig(
            size=height, count=config.synthetic_count, seed=config.synthetic_seed
        )
        builder = SyntheticLesions(data_dir=config.prepared_directory, config=builder_config)
        return builder.load(CLASSES, **_split_arguments(config))
    if config.name != "image_folder":
        raise InputError(f"data.name is {config.name!r}; use 'synthetic_lesions' or 'image_folder'")
    if not config.directory:
        raise InputError("data.directory is empty; name the directory of your images")
    files, examples = read_table(
        config.directory,
        config.table,
        config.image_column,
        config.label_column,
        config.group_column,
        config.split_column,
    )
    classes = order_classes({example.label for example in examples}, config.positive_class)
    folder_config = ImageFolderConfig(files=files, examples=examples, size=tuple(config.high_size))
    folder = ImageFolder(data_dir=config.prepared_directory, config=folder_config)
    return folder.load(classes, **_split_arguments(config))


def order_classes(labels: set[str], positive_class: str) -> tuple[str, ...]:
    """Sorts class names, numbers by value; of two classes the positive one comes last.

    Raises:
      InputError: there is one class only, or `positive_class` is not one of two.
    """
    if len(labels) < 2:
        raise InputError(
            f"data.label_column holds one class only ({', '.join(labels)}); a classifier needs two"
        )
    try:
        classes = sorted(labels, key=int)
    except ValueError:
        classes = sorted(labels)
    if not positive_class:
        return tuple(classes)
    if len(classes) != 2 or positive_class not in classes:
        raise InputError(
            f"data.positive_class is {positive_class!r}; it names one of two classes, not one of "
            + ", ".join(classes)
        )
    return tuple(sorted(classes, key=lambda name: name == positive_class))


def _split_arguments(config: ConfigDict) -> dict[str, Any]:
    return {
        "validation_fraction": config.validation_fraction,
        "test_fraction": config.test_fraction,
        "split_seed": config.split_seed,
    }
