"""From prepared images to batches: decode, augment once, derive the small image, lay out the large.

A batch is a dictionary of
  image_low   uint8 [B, h, w, 3]                the whole image, small
  image_high  uint8 [B, 2, 2, 3, H/2, W/2]      its polyphase planes (see ops.polyphase)
  label       int32 [B]                         the index of the class
  index       int32 [B]                         the image's place in the data set
  mask        bool [B]                          False for the rows that fill up a last batch
"""

import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import cv2
import grain
import numpy as np
from absl import flags
from ml_collections import ConfigDict

from stochconv_jax.data.dataset.image_dataset import ImageDataset
from stochconv_jax.data.pipeline.augment import augment, shrink
from stochconv_jax.data.pipeline.color import UNCHANGED, ColorAugmentation
from stochconv_jax.errors import InputError
from stochconv_jax.ops import polyphase

Batch = dict[str, Any]

STRIDES = (2, 2)


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """How images of a data set become batches.

    Attributes:
      dataset: the images.
      low_size: (height, width) of the small image.
      high: whether to lay out the large image; False for networks that do not look at it.
      workers: reader processes; threads of this process where 0.
      color: changes of colour in training.
      share: (number, count) of processes that train together, on several hosts; each reads every
        count-th row of a batch, beginning with row `number`.
    """

    dataset: ImageDataset
    low_size: tuple[int, int]
    high: bool = True
    workers: int = 0
    color: ColorAugmentation = UNCHANGED
    share: tuple[int, int] = (0, 1)

    @classmethod
    def from_config(cls, dataset: ImageDataset, config: ConfigDict, high: bool) -> "Pipeline":
        """Returns the pipeline of a config's `data` section."""
        fields = dataclasses.fields(ColorAugmentation)
        color = ColorAugmentation(**{field.name: config[field.name] for field in fields})
        return cls(dataset, tuple(config.low_size), high, config.workers, color)

    def training_steps(self, batch_size: int) -> int:
        """Returns the whole batches in one pass over the training split.

        Raises:
          InputError: there is not one.
        """
        images = len(self.dataset.indices("train"))
        if images < batch_size:
            raise InputError(
                f"train.batch_size is {batch_size} and the training split has {images} images; "
                "use a smaller batch or more images"
            )
        return images // batch_size

    def training_batches(self, batch_size: int, seed: int, first_step: int) -> Iterator[Batch]:
        """Yields this process's part of training batches without end, from step `first_step` on.

        Each pass visits the images in an order of its own; the view of an image depends on (seed,
        pass, index of the image) alone, so training continues exactly from any step.
        """
        indices = self.dataset.indices("train")

        def load(position: int, index: np.int32) -> Batch:
            # Shuffling and mapping see positions that run on over the passes.
            rng = np.random.default_rng((seed, position // len(indices), int(index)))
            return self._example(index, rng)

        number, count = self.share
        if batch_size % count:
            raise InputError(
                f"train.batch_size is {batch_size}, which does not divide over {count} processes"
            )
        rows = grain.MapDataset.source(indices).shuffle(seed=seed).map_with_index(load)
        whole = len(indices) // batch_size * batch_size
        batches = rows[number:whole:count].batch(batch_size // count).repeat()
        yield from self._read(batches[first_step:])

    def evaluation_batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        """Yields every image of a split exactly once, unaugmented, in the data set's order."""
        indices = self.dataset.indices(split)
        padding = np.full(-len(indices) % batch_size, -1, np.int32)
        rows = np.concatenate([indices, padding])

        def load(index: np.int32) -> Batch:
            # A row that fills up the last batch repeats the first image, masked.
            return {**self._example(max(index, indices[0])), "mask": index >= 0}

        yield from self._read(grain.MapDataset.source(rows).map(load).batch(batch_size))

    def _example(self, index: np.int32, rng: np.random.Generator | None = None) -> Batch:
        image = decode(self.dataset.records[int(index)]["image"])
        if rng is not None:
            image = self.color(augment(image, rng), rng)
        example = {
            "image_low": shrink(image, self.low_size),
            "label": self.dataset.labels[index],
            "index": np.int32(index),
            "mask": np.True_,
        }
        if self.high:
            example["image_high"] = polyphase(image, STRIDES)
        return example

    def _read(self, batches: grain.MapDataset) -> Iterator[Batch]:
        threads = min(os.cpu_count() or 1, 16)
        # Batches of large images are large: keep as many ready as there are readers, not hundreds.
        options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads)
        reader = batches.to_iter_dataset(options)
        if self.workers:
            # Grain reads absl's flags, which programs and notebooks may not have parsed.
            if not flags.FLAGS.is_parsed():
                flags.FLAGS.mark_as_parsed()
            reader = reader.mp_prefetch(
                grain.MultiprocessingOptions(self.workers, per_worker_buffer_size=2)
            )
        return iter(reader)


def decode(encoded: bytes) -> np.ndarray:
    """Decodes JPEG bytes to uint8 RGB [H, W, 3]."""
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
    return np.asarray(image, np.uint8)
