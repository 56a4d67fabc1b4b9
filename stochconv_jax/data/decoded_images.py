"""Decoded images kept in one file beside their records, for reading without decoding."""

import math
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from tqdm import tqdm

from stochconv_jax.data.dataset.records import SomeRecords, StoredRecords
from stochconv_jax.data.pipeline.batches import decode
from stochconv_jax.data.preparation.preparation import reserved
from stochconv_jax.errors import InputError

# uint8 [images, H, W, 3], in the directory of the records whose images they are: it goes with them.
FILE = "decoded.npy"
# Images that are decoded again whenever a file is opened, spread evenly over it.
COMPARED = 8
# Images that are decoded before they are written.
_AT_A_TIME = 64


class DecodedRecords(Sequence):
    """Records that hold their images as `pixels`, mapped from a file; their bytes on request."""

    def __init__(self, records: Sequence[dict[str, Any]], path: pathlib.Path):
        self.records = records
        self.path = path
        self._pixels = np.load(path, mmap_mode="r")

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker process maps the file itself, where its pickle would hold every pixel.
        return type(self), (self.records, self.path)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return _DecodedRecord(self.records, index, np.asarray(self._pixels[index]))


class _DecodedRecord(dict):
    """A record's pixels, and behind them the record, which is read when it is asked for."""

    def __init__(self, records: Sequence[dict[str, Any]], index: int, pixels: np.ndarray):
        super().__init__(pixels=pixels)
        self._records, self._index = records, index

    def __missing__(self, name: str) -> Any:
        return self._records[self._index][name]


def keep_decoded(records: Sequence, size: tuple[int, int]) -> Sequence:
    """Returns records with their images decoded, written to a file where that is not done.

    Args:
      records: as `load_dataset`'s loaders open them.
      size: (height, width) of every image.

    Raises:
      InputError: the disk has not the room, the file cannot be written, or it is not of these
        records.
    """
    if isinstance(records, SomeRecords):
        return SomeRecords(keep_decoded(records.records, size), records.places)
    if not isinstance(records, StoredRecords):
        raise InputError("data.keep_decoded is set and there are no images; leave it out")
    path, shape = records.directory / FILE, (len(records), *size, 3)
    if not path.exists():
        with reserved(records.directory):
            if not path.exists():
                _write(records, path, shape)
    if not _is_of(records, path, shape):
        raise InputError(
            f"{path} is damaged or holds other images; delete it, and it is written anew"
        )
    return DecodedRecords(records, path)


def _write(records: Sequence, path: pathlib.Path, shape: tuple[int, ...]) -> None:
    gigabytes, free = math.prod(shape) / 1e9, shutil.disk_usage(path.parent).free / 1e9
    sentence = f"{shape[0]} decoded images take {gigabytes:.2f} GB"
    if gigabytes > free:
        raise InputError(
            f"{sentence} and the disk of {path.parent} has {free:.2f} GB left; make room, or leave "
            "out data.keep_decoded"
        )
    print(f"{sentence}, which are kept in {path}", flush=True)
    part = path.with_name(f"{FILE}.part")
    try:
        with part.open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for image in tqdm(_decoded(records), "Decoding", shape[0], unit="image", leave=False):
                file.write(image.data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}); make room, or leave out "
            "data.keep_decoded"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _decoded(records: Sequence) -> Iterator[np.ndarray]:
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for first in range(0, len(records), _AT_A_TIME):
            places = range(first, min(first + _AT_A_TIME, len(records)))
            yield from pool.map(lambda place: decode(records[place]["image"]), places)


def _is_of(records: Sequence, path: pathlib.Path, shape: tuple[int, ...]) -> bool:
    """Returns whether a file is whole and some of its images are what their records decode to."""
    try:
        pixels = np.load(path, mmap_mode="r")
    except ValueError:  # of no header, or of fewer bytes than it says
        return False
    if (pixels.shape, pixels.dtype) != (shape, np.uint8):
        return False
    if path.stat().st_size != pixels.offset + pixels.nbytes:
        return False
    places = np.linspace(0, len(records) - 1, min(COMPARED, len(records))).astype(int)
    return all(
        np.array_equal(pixels[place], decode(records[int(place)]["image"])) for place in places
    )
