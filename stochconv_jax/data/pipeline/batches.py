"""From prepared images to batches: decode, augment once, derive the small image, lay out the large.

A batch is a dictionary of
  image_low   uint8 [B, h, w, 3]                the whole image, small
  image_high  uint8 [B, 2, 2, 3, H/2, W/2]      the polyphase planes of the large one (see
                                                ops.polyphase), here with strides of 2
  label       int32 [B]                         the index of the class
  metadata    float32 [B, M]                    what a table knows of the image, where it is given
  index       int32 [B]                         the image's place in the data set
  mask        bool [B]                          False for the rows that fill up a last batch
"""

import dataclasses
import math
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

import cv2
import grain
import numpy as np
from absl import flags
from ml_collections import ConfigDict

from stochconv_jax.data.dataset.image_dataset import ImageDataset
from stochconv_jax.data.pipeline.augment import Transform, transforms_from_config
from stochconv_jax.data.pipeline.balance import Balanced
from stochconv_jax.data.pipeline.sampler import Sampler, Visit, Visits, shuffled
from stochconv_jax.data.pipeline.views import empty_views, write_views
from stochconv_jax.data.pipeline.warp import Warp
from stochconv_jax.data.worker_process import begin_worker
from stochconv_jax.errors import InputError
from stochconv_jax.keys import Purpose, generator

Batch = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """How images of a data set become batches.

    Attributes:
      dataset: the images.
      low_size: (height, width) of the small image.
      high: whether to lay out the large image; False for networks that do not look at it.
      workers: reader processes; threads of this process where 0.
      transforms: what is done to each image in training, one after the other.
      share: (number, count) of processes that train together, on several hosts; each reads every
        count-th row of a training batch, beginning with row `number`, and the number-th of `count`
        equal parts of one that is judged.
      strides: (vertical, horizontal) of the large image's planes, each dividing its side.
      crop_size: (height, width) of the middle that is left of each image; (0, 0) for the whole.
      sampler: from the images of the training split (int32) and the seed to the order of each pass.
      pixels: False decodes no image, for networks that look at none.
      metadata: float32 [images, M], what networks are given beside the images.
    """

    dataset: ImageDataset
    low_size: tuple[int, int]
    high: bool = True
    workers: int = 0
    transforms: tuple[Transform, ...] = ()
    share: tuple[int, int] = (0, 1)
    strides: tuple[int, int] = (2, 2)
    crop_size: tuple[int, int] = (0, 0)
    sampler: Callable[[np.ndarray, int], Sampler] = shuffled
    pixels: bool = True
    metadata: np.ndarray | None = None

    @classmethod
    def from_config(
        cls,
        dataset: ImageDataset,
        config: ConfigDict,
        high: bool,
        strides: tuple[int, int] = (2, 2),
        pixels: bool = True,
        metadata: np.ndarray | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> "Pipeline":
        """Returns the pipeline of a config's `data` section.

        Raises:
          InputError: the large image is looked at and does not divide by the strides, or there is
            not a multiplier for each class.
        """
        crop_size, low_size = tuple(config.crop_size), tuple(config.low_size)
        size, name = dataset.framing.size, "data.high_size"
        if any(crop_size):
            size, name = crop_size, "data.crop_size"
        if high and any(side % stride for side, stride in zip(size, strides, strict=True)):
            raise InputError(
                f"{name} is {size[0]}x{size[1]}; its sides must be multiples of the stem's "
                f"strides, {strides[0]} and {strides[1]}"
            )
        transforms = transforms_from_config(config.augment, crop_size)
        sampler: Callable[[np.ndarray, int], Sampler] = shuffled
        multipliers = tuple(config.class_multipliers)
        if multipliers or config.equal_classes:
            sampler = Balanced.of(dataset, multipliers, config.equal_classes)
        return cls(
            dataset,
            low_size,
            high,
            config.workers,
            transforms,
            share,
            strides,
            sampler=sampler,
            crop_size=crop_size,
            pixels=pixels,
            metadata=metadata,
        )

    def training_steps(self, batch_size: int) -> int:
        """Returns the whole batches in one pass over the training split.

        Raises:
          InputError: there is not one.
        """
        images = len(self._order(seed=0)(0))
        if images < batch_size:
            raise InputError(
                f"train.batch_size is {batch_size} and a pass of training has {images} images; "
                "use a smaller batch or more images"
            )
        return images // batch_size

    def training_batches(
        self, batch_size: int, seed: int, first_step: int
    ) -> Generator[Batch, None, None]:
        """Yields this process's part of training batches without end, from step `first_step` on.

        Closing the generator ends its worker processes.

        Each pass visits the images in an order of its own; the view of an image depends on (seed,
        pass, index of the image, how often the pass has visited it) alone, so training continues
        exactly from any step.

        Raises:
          InputError: a batch does not divide over the processes, or a pass fills none.
        """
        _, count = self.share
        if batch_size % count:
            raise InputError(
                f"train.batch_size is {batch_size}, which does not divide over {count} processes"
            )
        self.training_steps(batch_size)

        def load(visits: Sequence[Visit]) -> Batch:
            views = [generator(seed, Purpose.VIEW, *visit) for visit in visits]
            return self._batch([visit.image for visit in visits], views)

        visits = Visits(self._order(seed), batch_size, first_step, self.share)
        yield from self._read(visits, batch_size // count, load)

    def evaluation_batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        """Yields this process's part of a split, unaugmented, in the data set's order.

        The processes' parts of a batch, one after the other, are the batch; all batches together
        hold every image exactly once.

        Args:
          split: "train", "validation", "test" or "all".
          batch_size: over all processes; a multiple of their count.
        """
        indices = self.dataset.indices(split)
        padding = np.full(-len(indices) % batch_size, -1, np.int32)
        number, count = self.share
        batches = np.concatenate([indices, padding]).reshape(-1, count, batch_size // count)
        rows = batches[:, number].reshape(-1)

        def load(rows: Sequence[np.int32]) -> Batch:
            # A row that fills up the last batch repeats the first image, masked.
            images = [int(max(row, indices[0])) for row in rows]
            return {**self._batch(images), "mask": np.array(rows) >= 0}

        yield from self._read(rows, batch_size // count, load)

    def _order(self, seed: int) -> Sampler:
        return self.sampler(self.dataset.indices("train"), seed)

    def _batch(
        self, images: Sequence[int], randomness: Sequence[np.random.Generator] = ()
    ) -> Batch:
        """Returns a batch of some images, each written straight into its row of it."""
        batch: Batch = {
            **({} if self.metadata is None else {"metadata": self.metadata[images]}),
            "label": self.dataset.labels[images],
            "index": np.array(images, np.int32),
            "mask": np.ones(len(images), bool),
        }
        if not self.pixels:
            return batch
        views = empty_views(
            len(images),
            self.dataset.framing.size,
            self.low_size,
            self.strides if self.high else None,
            self.crop_size,
        )
        for row, index in enumerate(images):
            image, to_source = image_of(self.dataset.records[index]), None
            if randomness:
                image, to_source = self._augmented(image, randomness[row])
            seen = {key: array[row] for key, array in views.items()}
            write_views(image, seen, self.crop_size, to_source)
        return views | batch

    def _augmented(
        self, image: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns the image, and of a warp that comes last its map: `write_views` follows it."""
        for transform in self.transforms[:-1]:
            image = transform(image, rng)
        for last in self.transforms[-1:]:
            if isinstance(last, Warp):
                return image, last.to_source(image.shape[:2], rng)
            image = last(image, rng)
        return image, None

    def _read(
        self, rows: Visits | np.ndarray, size: int, load: Callable[[Sequence[Any]], Batch]
    ) -> Iterator[Batch]:
        batches = grain.MapDataset.source(rows).batch(size, batch_fn=list).map(load)
        threads = min(math.ceil((os.cpu_count() or 1) / max(self.workers, 1)), 16)
        # Batches of large images are large: keep as many ready as there are readers, not hundreds.
        options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads)
        reader = batches.to_iter_dataset(options)
        if self.workers:
            # Grain reads absl's flags, which programs and notebooks may not have parsed.
            if not flags.FLAGS.is_parsed():
                flags.FLAGS.mark_as_parsed()
            options = grain.MultiprocessingOptions(self.workers, per_worker_buffer_size=2)
            reader = reader.mp_prefetch(options, begin_worker)
        return iter(reader)


def image_of(record: Mapping[str, Any]) -> np.ndarray:
    """Returns the image of a record, uint8 RGB [H, W, 3], decoded unless it is kept so."""
    return record["pixels"] if "pixels" in record else decode(record["image"])


def decode(encoded: bytes) -> np.ndarray:
    """Decodes JPEG bytes to uint8 RGB [H, W, 3]."""
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
    return np.asarray(image, np.uint8)
