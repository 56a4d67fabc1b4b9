"""The mean and deviation of a run's images, measured when it begins."""

from ml_collections import ConfigDict

from stochconv_jax.data.dataset.image_dataset import ImageDataset
from stochconv_jax.data.pipeline.batches import Pipeline
from stochconv_jax.data.pipeline.channel_statistics import channel_statistics
from stochconv_jax.hosts.exchange import of_first
from stochconv_jax.models.families import DATASET


def measure_pixels(config: ConfigDict, dataset: ImageDataset) -> ConfigDict:
    """Returns a config that says how pixels are normalised, where it asks for the data set's own.

    They are measured on the small images of the training split, without augmentation.

    Raises:
      InputError: a colour is the same in every pixel.
    """
    if config.model.pixels != DATASET or config.model.pixel_mean:
        return config
    pipeline = Pipeline.from_config(dataset, config.data, high=False)
    measured = config.copy_and_resolve_references().unlock()
    mean, deviation = of_first(lambda: channel_statistics(pipeline))
    measured.model.pixel_mean, measured.model.pixel_deviation = tuple(mean), tuple(deviation)
    return measured.lock()
