"""CIFAR-10 and CIFAR-100 in the binary layouts of their authors.

A record is a byte for each label (of CIFAR-100 the coarse one, then the fine one, which is taken
here) and 3072 bytes of pixels: 32x32 of red, then of green, then of blue.

Source: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html.
"""

import dataclasses
import pathlib

import cv2
import numpy as np

from stochconv_jax.atomic_write import atomic_write
from stochconv_jax.data.preparation.photograph import Photograph
from stochconv_jax.errors import InputError

SIDE = 32
_PIXELS = 3 * SIDE * SIDE


@dataclasses.dataclass(frozen=True)
class _Layout:
    directory: str
    train: tuple[str, ...]
    test: str
    label_bytes: int
    names: str
    records: dict[str, int]  # in each file of a part


LAYOUTS = {
    10: _Layout(
        "cifar-10-batches-bin",
        tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        "test_batch.bin",
        1,
        "batches.meta.txt",
        {"train": 10_000, "test": 10_000},
    ),
    100: _Layout(
        "cifar-100-binary",
        ("train.bin",),
        "test.bin",
        2,
        "fine_label_names.txt",
        {"train": 50_000, "test": 10_000},
    ),
}


@dataclasses.dataclass(frozen=True)
class CifarImages:
    """The images of both parts, in the files' order.

    Attributes:
      pixels: uint8 [images, 32, 32, 3], RGB.
      targets: the class of each, by its name, or by "class 07" where the names' file is absent.
      parts: "train" or "test" of each.
      name: such as "cifar10".
    """

    pixels: np.ndarray
    targets: list[str]
    parts: list[str]
    name: str

    def unpack(self, directory: pathlib.Path) -> list[Photograph]:
        """Writes each image as a PNG, unless that is done; those of the official test are test."""
        directory.mkdir(parents=True, exist_ok=True)
        photographs = []
        described = zip(self.pixels, self.targets, self.parts, strict=True)
        for number, (image, target, part) in enumerate(described):
            path = directory / f"{part}_{number:05d}.png"
            _, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            # A file that is left alone need not be inspected again.
            if not (path.is_file() and path.read_bytes() == encoded.tobytes()):
                atomic_write(path, encoded.tobytes())
            split = "test" if part == "test" else ""
            source = f"{self.name}_{part}"
            photographs.append(Photograph(path.stem, source, path, target, split=split))
        return photographs


def read_cifar(source: pathlib.Path, classes: int) -> CifarImages:
    """Reads both parts of CIFAR-10 or CIFAR-100.

    Args:
      source: the directory of the files, or the one that holds it by its published name.
      classes: 10 or 100.

    Raises:
      InputError: a file is missing, is not a whole number of records, or has a label beyond the
        classes.
    """
    layout = LAYOUTS[classes]
    root = source / layout.directory
    root = root if root.is_dir() else source
    names = _class_names(root / layout.names, classes)
    parts = dict.fromkeys(layout.train, "train") | {layout.test: "test"}
    pixels, targets, part_of = [], [], []
    for file, part in parts.items():
        labels, images = _read_records(root / file, layout.label_bytes)
        if len(labels) < layout.records[part]:
            print(f"{root / file} is a part: {len(labels)} of {layout.records[part]} images")
        if labels.max() >= classes:
            raise InputError(
                f"{root / file} has the label {labels.max()}; it is not of CIFAR-{classes}"
            )
        pixels.append(images)
        targets += [names[label] for label in labels]
        part_of += [part] * len(labels)
    return CifarImages(np.concatenate(pixels), targets, part_of, f"cifar{classes}")


def _read_records(path: pathlib.Path, label_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the labels, the last of each record, and the images."""
    if not path.is_file():
        raise InputError(f"{path} is not there; --source names the directory of the binary version")
    content, size = np.fromfile(path, np.uint8), label_bytes + _PIXELS
    if not len(content) or len(content) % size:
        raise InputError(
            f"{path} has {len(content)} bytes, not a whole number of records of {size}; it is "
            "damaged or of another layout, so download it again"
        )
    records = content.reshape(-1, size)
    images = records[:, label_bytes:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    return records[:, label_bytes - 1], images


def _class_names(path: pathlib.Path, classes: int) -> list[str]:
    if not path.is_file():
        return [f"class {number:02d}" for number in range(classes)]
    names = path.read_text(encoding="utf-8").split()
    if len(set(names)) != classes:
        raise InputError(f"{path} has {len(set(names))} names; CIFAR-{classes} has {classes}")
    return names
