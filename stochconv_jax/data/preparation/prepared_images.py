"""The framed images of a manifest as a TFDS data set."""

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from tqdm import tqdm

from stochconv_jax.data.framing import Framing, encode_to
from stochconv_jax.data.preparation.image_builder import ImageBuilder
from stochconv_jax.data.preparation.inspection import worker_pool

NO_FRAMING = Framing((1, 1), (1, 1))


@dataclasses.dataclass
class PreparedImagesConfig(tfds.core.BuilderConfig):
    """Which images, how framed, and where work in progress is kept.

    Attributes:
      ids: names of the images.
      files: (path, sha256) of each.
      framing: crop and size.
      workspace: directory of framed images that are not yet in the data set.
      processes: at a time.
      with_beam: whether Apache Beam runs it, in place of processes and workspace.
    """

    ids: tuple[str, ...] = ()
    files: tuple[tuple[pathlib.Path, str], ...] = ()
    framing: Framing = NO_FRAMING
    workspace: pathlib.Path = pathlib.Path()
    processes: int = 1
    with_beam: bool = False


class PreparedImages(ImageBuilder):
    """Every image of the config, framed.

    Framed images are kept in the workspace until all are written, by the fingerprint of their
    files: an interrupted preparation goes on where it stopped.
    """

    BUILDER_CONFIGS: ClassVar[list[PreparedImagesConfig]] = []

    def generate(self) -> Iterator[tuple[str, bytes]]:
        """Yields every image's name and JPEG bytes."""
        config = self.builder_config
        config.workspace.mkdir(parents=True, exist_ok=True)
        paths = [path for path, _ in config.files]
        targets = [config.workspace / f"{digest}.jpg" for _, digest in config.files]
        bar = tqdm(total=len(paths), desc="Preparing", unit="image", leave=False)
        with worker_pool(config.processes) as pool, bar:
            framings = [config.framing] * len(paths)
            done = pool.map(encode_to, paths, framings, targets, chunksize=4)
            for name, target in zip(config.ids, done, strict=True):
                yield name, target.read_bytes()
                bar.update()

    def _generate_examples(self) -> Any:
        config = self.builder_config
        if not config.with_beam:
            return super()._generate_examples()
        import apache_beam as beam

        rows = [(key, *row) for key, row in enumerate(zip(config.ids, config.files, strict=True))]
        framing = config.framing

        def encode(row: tuple) -> tuple[int, dict[str, Any]]:
            key, name, (path, _) = row
            return key, {"image": framing.encode(path), "id": name}

        return beam.Create(rows) | beam.Map(encode)
