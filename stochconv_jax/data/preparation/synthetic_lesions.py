"""Synthetic lesions: an embedded benchmark whose classes small images cannot tell apart."""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from tqdm import tqdm

from stochconv_jax.data.dataset.image_dataset import Example
from stochconv_jax.data.framing import Framing, encode_jpeg
from stochconv_jax.data.preparation.image_builder import ImageBuilder
from stochconv_jax.data.preparation.lesion_drawing import draw_lesion

CLASSES = ("benign", "malignant")


@dataclasses.dataclass
class SyntheticLesionsConfig(tfds.core.BuilderConfig):
    """Which synthetic lesions: `count` square images of (height, width) `size`, from `seed`."""

    name: str = dataclasses.field(default="", init=False)
    size: tuple[int, int] = (512, 512)
    count: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        self.name = f"size{self.size[0]}_count{self.count}_seed{self.seed}"

    @property
    def framing(self) -> Framing:
        """Returns how lesions are framed: whole."""
        return Framing(self.size, minimum=(1, 1))

    @property
    def examples(self) -> tuple[Example, ...]:
        """Returns the table: classes in turn, no groups and no splits."""
        return tuple(
            Example(f"lesion_{index:06d}", CLASSES[index % 2], "", "")
            for index in range(self.count)
        )


class SyntheticLesions(ImageBuilder):
    """As many benign as malignant lesions, drawn by `draw_lesion` from (seed, index)."""

    BUILDER_CONFIGS: ClassVar[list[SyntheticLesionsConfig]] = []

    def generate(self) -> Iterator[tuple[str, bytes]]:
        """Yields every lesion's name and JPEG bytes."""
        config = self.builder_config
        bar = tqdm(config.examples, "Drawing lesions", unit="image", leave=False)
        for index, example in enumerate(bar):
            rng = np.random.default_rng((config.seed, index))
            image = draw_lesion(rng, config.size[0], example.label == CLASSES[1])
            yield example.id, encode_jpeg(Image.fromarray(image))
