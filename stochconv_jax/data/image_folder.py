"""Anyone's own images: a directory and a table that names them."""

import csv
import dataclasses
import hashlib
import itertools
import pathlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from stochconv_jax.data.image_dataset import Example, ImageBuilder, encode
from stochconv_jax.data.splits import SPLITS
from stochconv_jax.errors import InputError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")


@dataclasses.dataclass
class ImageFolderConfig(tfds.core.BuilderConfig):
    """Which images, and the (height, width) to which each is resized."""

    name: str = dataclasses.field(default="", init=False)
    files: tuple[pathlib.Path, ...] = ()
    examples: tuple[Example, ...] = ()
    size: tuple[int, int] = (1024, 1024)

    def __post_init__(self) -> None:
        # The name is a fingerprint, so that a changed file or table is prepared anew.
        digest = hashlib.sha256()
        for file, example in zip(self.files, self.examples, strict=True):
            status = file.stat()
            digest.update(repr((*example, status.st_size, status.st_mtime_ns)).encode())
        self.name = f"{self.size[0]}x{self.size[1]}_{digest.hexdigest()[:12]}"


class ImageFolder(ImageBuilder):
    """Every listed image, turned upright, in RGB, resized to one size with antialiasing."""

    BUILDER_CONFIGS: ClassVar[list[ImageFolderConfig]] = []

    def generate(self) -> Iterator[tuple[Example, bytes]]:
        """Yields every example with its JPEG bytes.

        Raises:
          InputError: an image cannot be read.
        """
        config = self.builder_config
        pairs = zip(config.examples, config.files, strict=True)
        with (
            ThreadPoolExecutor() as executor,
            tqdm(total=len(config.files), desc="Preparing", unit="image", leave=False) as bar,
        ):
            while some := tuple(itertools.islice(pairs, 64)):
                images = executor.map(lambda pair: read_image(pair[1], config.size), some)
                for (example, _), image in zip(some, images, strict=True):
                    yield example, encode(image)
                    bar.update()


def read_image(path: pathlib.Path, size: tuple[int, int]) -> np.ndarray:
    """Reads an image, honours its EXIF orientation, and resizes it to (height, width).

    Grey images become RGB, and what is transparent becomes white.

    Returns:
      uint8 RGB [height, width, 3].

    Raises:
      InputError: the file is not a whole image of 8 bits a channel.
    """
    try:
        with Image.open(path) as file:
            if file.mode in ("F", "I") or file.mode.startswith("I;"):
                raise InputError(
                    f"{path} has {file.mode} pixels, and how to bring them to 8 bits is not known; "
                    "convert it"
                )
            image = ImageOps.exif_transpose(file)
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            resized = image.convert("RGB").resize(size[::-1], Image.Resampling.LANCZOS)
            return np.asarray(resized)
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{path} cannot be read as an image ({error}); replace it or take it out of the table"
        ) from error


def read_table(
    directory: str,
    table: str,
    image_column: str,
    label_column: str,
    group_column: str = "",
    split_column: str = "",
) -> tuple[tuple[pathlib.Path, ...], tuple[Example, ...]]:
    """Reads which images there are and what is known of them.

    Args:
      directory: where the images lie.
      table: CSV file in UTF-8 with a header, as given or within `directory`.
      image_column: names the column of file names; their extension may be left out.
      label_column: names the column of classes.
      group_column: names the column of what must stay within one split; none where "".
      split_column: names the column of train, validation or test; none where "".

    Returns:
      The images' paths and their examples, in the table's order.

    Raises:
      InputError: the table or an image is missing, or a row is not usable.
    """
    root, path = pathlib.Path(directory), pathlib.Path(table)
    if not root.is_dir():
        raise InputError(
            f"data.directory {directory!r} is not a directory; set it to the one of the images"
        )
    path = path if path.is_file() else root / table
    if not path.is_file():
        raise InputError(
            f"data.table {table!r} is not a file, nor one in {directory}; set it to the CSV that "
            "lists the images"
        )
    columns = {"image": image_column, "label": label_column}
    columns |= {"group": group_column} if group_column else {}
    columns |= {"split": split_column} if split_column else {}
    rows = _read_rows(path, columns)
    if group_column and not any(row["group"] for row in rows):
        raise InputError(
            f"the column {group_column!r} of {path} is empty, so that it groups nothing; name "
            "another in data.group_column, or none"
        )
    files = tuple(_find(root, row["image"], path) for row in rows)
    first: dict[pathlib.Path, str] = {}
    for file, row in zip(files, rows, strict=True):
        if first.setdefault(file, row["image"]) != row["image"]:
            raise InputError(f"{path} lists {file.name} as {first[file]} and as {row['image']}")
    examples = tuple(
        Example(row["image"], row["label"], row.get("group", ""), row.get("split", ""))
        for row in rows
    )
    return files, examples


def _read_rows(path: pathlib.Path, columns: dict[str, str]) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = reader.fieldnames or ()
            if not header:
                raise InputError(f"{path} is empty; write a header and a row for each image")
            for name, column in columns.items():
                if column not in header:
                    raise InputError(
                        f"{path} has no column {column!r}; set data.{name}_column to one of: "
                        + ", ".join(header)
                    )
            rows = [
                {name: (row[column] or "").strip() for name, column in columns.items()}
                for row in reader
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV in UTF-8 ({error}); save it as one") from error
    if not rows:
        raise InputError(f"{path} has a header and no rows; list the images in it")
    seen: set[str] = set()
    for number, row in enumerate(rows, start=2):
        _check_row(f"{path}, row {number}", row)
        if row["image"] in seen:
            raise InputError(f"{path}, row {number} lists {row['image']} again; keep one row of it")
        seen.add(row["image"])
    return rows


def _check_row(place: str, row: dict[str, str]) -> None:
    for name, value in row.items():
        if not value and name != "group":
            raise InputError(f"{place} has no {name}; fill it in or take the row out")
    split = row.get("split", "train")
    if split not in SPLITS:
        raise InputError(f"{place} has the split {split!r}; use {', '.join(SPLITS)}")


def _find(root: pathlib.Path, name: str, table: pathlib.Path) -> pathlib.Path:
    for extension in ("", *EXTENSIONS, *map(str.upper, EXTENSIONS)):
        path = root / (name + extension)
        if path.is_file():
            return path
    raise InputError(
        f"{table} lists {name}, which is not in {root}; add the image or take the row out"
    )
