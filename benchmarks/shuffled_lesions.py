"""Synthetic lesions whose labels say nothing of them: python -m benchmarks.shuffled_lesions.

Writes the quickstart's images, with a mask of every lesion and a table of its images' splits and
their labels in random order within each split. A network can learn such labels by heart at best,
so that an explanation of what it says has no business on the lesion: docs/explanations.md.
"""

import argparse
import pathlib
from collections.abc import Sequence

import cv2
import numpy as np
from tqdm import tqdm

from stochconv_jax.atomic_write import write_table
from stochconv_jax.configs import base, quickstart
from stochconv_jax.data.dataset.image_dataset import Example, ImageDataset
from stochconv_jax.data.load import load_dataset
from stochconv_jax.data.preparation.lesion_drawing import lesion_mask
from stochconv_jax.data.preparation.synthetic_lesions import CLASSES
from stochconv_jax.errors import InputError

SEED = 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes images/, masks/ and labels.csv into a directory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=pathlib.Path, required=True, help="directory to write")
    output = parser.parse_args(arguments).output
    write_shuffled(load_dataset(quickstart.get_config().data), output)


def write_shuffled(dataset: ImageDataset, output: pathlib.Path) -> None:
    """Writes synthetic lesions as files, their labels shuffled within each split.

    Raises:
      InputError: the directory is there.
    """
    if output.exists():
        raise InputError(f"{output} is there already; name another --output")
    for name in ("images", "masks"):
        (output / name).mkdir(parents=True)
    labels = shuffled_labels(dataset)
    rows = []
    for place, example in enumerate(tqdm(dataset.examples, "Writing", unit="image", leave=False)):
        name = f"{example.id}.jpg"
        (output / "images" / name).write_bytes(dataset.records[place]["image"])
        mask = drawn_mask(example, dataset.framing.size[0]).astype(np.uint8) * 255
        cv2.imwrite(str(output / "masks" / f"{example.id}.png"), mask)
        rows.append((f"images/{name}", labels[place], str(dataset.splits[place])))
    write_table(output / "labels.csv", ("image", "label", "split"), rows)


def shuffled_labels(dataset: ImageDataset) -> np.ndarray:
    """Returns the names of the labels, as many of each in every split, in random order."""
    labels = np.array([example.label for example in dataset.examples])
    rng = np.random.default_rng(SEED)
    for split in np.unique(dataset.splits):
        places = dataset.indices(split)
        labels[places] = rng.permutation(labels[places])
    return labels


def drawn_mask(example: Example, size: int) -> np.ndarray:
    """Returns where a synthetic lesion of the configs' seed was drawn: bool [size, size]."""
    rng = np.random.default_rng((base.get_config().data.synthetic_seed, _number(example)))
    return lesion_mask(rng, size, example.label == CLASSES[1])


def _number(example: Example) -> int:
    return int(example.id.rpartition("_")[2])


if __name__ == "__main__":
    main()
