"""Writing images of one size as a TFDS data set in ArrayRecord files."""

import abc
import re
import tempfile
from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds

from stochconv_jax.data.dataset.records import FRAMING, quiet
from stochconv_jax.errors import InputError


class ImageBuilder(tfds.core.GeneratorBasedBuilder):
    """Writes JPEGs with their names, in order; subclasses say which.

    Their config has `framing`, how every image is framed.
    """

    # 2.0.0: the records say how they are framed.
    VERSION = tfds.core.Version("2.0.0")

    def __init__(self, **arguments: Any):
        """Takes TFDS's arguments; ArrayRecord is the format that it writes without TensorFlow."""
        with quiet():
            super().__init__(**(arguments | {"file_format": "array_record"}))

    @abc.abstractmethod
    def generate(self) -> Iterator[tuple[str, bytes]]:
        """Yields every image's name and JPEG bytes."""

    def write(self, **download_config: Any) -> None:
        """Writes the images, unless that is done; what is interrupted leaves nothing that counts.

        Args:
          **download_config: arguments of `tfds.download.DownloadConfig`, such as a Beam runner.

        Raises:
          InputError: the disk is full.
        """
        config = tfds.download.DownloadConfig(**download_config)
        try:
            with quiet(), tempfile.TemporaryDirectory() as downloads:
                self.download_and_prepare(download_dir=downloads, download_config=config)
        except RuntimeError as error:
            # ArrayRecord's way of telling of a full disk.
            found = re.search(r"write\(\) failed: ([^;]*)", str(error))
            if found is None:
                raise
            raise InputError(
                f"{self.data_dir} cannot be written ({found.group(1)}); make room and give the "
                "same command again"
            ) from error

    def _info(self) -> tfds.core.DatasetInfo:
        framing = self.builder_config.framing
        shape = (*framing.size, 3)
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=shape, encoding_format="jpeg"),
                "id": tfds.features.Text(),
            }
        )
        return tfds.core.DatasetInfo(
            builder=self,
            features=features,
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict({FRAMING: framing.to_json()}),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return {"images": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for key, (name, encoded) in enumerate(self.generate()):
            yield key, {"image": encoded, "id": name}
