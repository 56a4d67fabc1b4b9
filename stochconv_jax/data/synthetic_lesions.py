"""Synthetic lesions: an embedded benchmark whose classes small images cannot tell apart."""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from stochconv_jax.data.image_dataset import Example, ImageBuilder, encode
from stochconv_jax.data.lesion_drawing import draw_lesion

CLASSES = ("benign", "malignant")


@dataclasses.dataclass
class SyntheticLesionsConfig(tfds.core.BuilderConfig):
    """Which synthetic lesions: `count` images of size x size, from `seed`."""

    name: str = dataclasses.field(default="", init=False)
    size: int = 512
    count: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        self.name = f"size{self.size}_count{self.count}_seed{self.seed}"


class SyntheticLesions(ImageBuilder):
    """As many benign as malignant lesions, drawn by `draw_lesion` from (seed, index)."""

    BUILDER_CONFIGS: ClassVar[list[SyntheticLesionsConfig]] = []

    def generate(self) -> Iterator[tuple[Example, bytes]]:
        """Yields every lesion with its JPEG bytes."""
        config = self.builder_config
        for index in tqdm(range(config.count), "Drawing lesions", unit="image", leave=False):
            malignant = index % 2
            rng = np.random.default_rng((config.seed, index))
            image = draw_lesion(rng, config.size, bool(malignant))
            yield Example(f"lesion_{index:06d}", CLASSES[malignant], "", ""), encode(image)
