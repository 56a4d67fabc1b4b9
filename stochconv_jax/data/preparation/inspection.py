"""Looking at every file once: size, fingerprint, likeness, and whether it can be used."""

import contextlib
import csv
import hashlib
import multiprocessing
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import imagehash
import numpy as np
from PIL import Image
from tqdm import tqdm

from stochconv_jax.data.image_file import misnamed, open_image
from stochconv_jax.data.worker_process import begin_worker
from stochconv_jax.errors import InputError

HASH_SIDE = 16
_RING = 4
_DARK = 20


class Inspection(NamedTuple):
    """What a file is.

    Attributes:
      width: pixels, upright.
      height: pixels.
      sha256: of the file's bytes.
      perceptual_hash: 256 bits in hexadecimal; alike for images that look alike (pHash).
      border: share of the image's rim that is nearly black, in [0, 1].
      problem: why it cannot be used, or "".
      remark: what is odd about it, or "".
    """

    width: int
    height: int
    sha256: str
    perceptual_hash: str
    border: float
    problem: str = ""
    remark: str = ""


def inspect_file(path: pathlib.Path) -> Inspection:
    """Reads a file whole, so that a truncated one is noticed."""
    try:
        encoded = path.read_bytes()
    except OSError as error:
        return Inspection(0, 0, "", "", 0.0, f"cannot be read: {error.strerror}")
    digest = hashlib.sha256(encoded).hexdigest()
    try:
        image, (width, height), form, converted = open_image(encoded, least=16 * HASH_SIDE)
    except InputError as error:
        return Inspection(0, 0, digest, "", 0.0, str(error))
    grey = image.convert("L")
    likeness = _likeness(grey)
    small = np.asarray(grey.resize((64, 64), Image.Resampling.BOX))
    rim = np.ones(small.shape, bool)
    rim[_RING:-_RING, _RING:-_RING] = False
    border = float(np.mean(small[rim] < _DARK))
    remark = "; ".join(filter(None, (misnamed(path, form), converted)))
    return Inspection(width, height, digest, likeness, round(border, 4), remark=remark)


def perceptual_hash(encoded: bytes) -> str:
    """Returns the `Inspection.perceptual_hash` of an image file's content.

    Raises:
      InputError: it is not a whole image; the message does not name the file.
    """
    return _likeness(open_image(encoded, least=16 * HASH_SIDE).image.convert("L"))


def _likeness(grey: Image.Image) -> str:
    return str(imagehash.phash(grey, hash_size=HASH_SIDE))


def inspect_files(
    paths: Iterable[pathlib.Path], kept: pathlib.Path | None, processes: int
) -> dict[pathlib.Path, Inspection]:
    """Inspects files over several processes, those that have not changed since last time not again.

    Args:
      paths: the files.
      kept: CSV of earlier inspections, to which new ones are added; None to keep nothing.
      processes: at a time.

    Returns:
      The inspection of every file.
    """
    earlier = _read(kept)
    keys = {path: _key(path) for path in dict.fromkeys(paths)}
    found = {path: earlier[key] for path, key in keys.items() if key in earlier}
    missing = [path for path in keys if path not in found]
    if not missing:
        return found
    bar = tqdm(total=len(missing), desc="Inspecting", unit="image", leave=False)
    with worker_pool(processes) as pool, bar:
        results = zip(missing, pool.map(inspect_file, missing, chunksize=8), strict=True)
        with _appender(kept) as append:
            for path, inspection in results:
                found[path] = inspection
                if not inspection.problem:  # what cannot be used today may be usable tomorrow
                    append([*keys[path], *inspection])
                bar.update()
    return found


@contextlib.contextmanager
def _appender(kept: pathlib.Path | None) -> Iterator[Callable[[Sequence], object]]:
    if kept is None:
        yield lambda row: None
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.open("a", newline="", encoding="utf-8") as file:
        yield csv.writer(file).writerow


@contextlib.contextmanager
def worker_pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Yields processes that leave Ctrl-C to this one, and that stop when it is interrupted."""
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), begin_worker)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _key(path: pathlib.Path) -> tuple[str, ...]:
    try:
        status = path.stat()
    except OSError:
        return (str(path), "", "")
    return (str(path.absolute()), str(status.st_size), str(status.st_mtime_ns))


def _read(kept: pathlib.Path | None) -> dict[tuple[str, ...], Inspection]:
    if kept is None or not kept.exists():
        return {}
    try:
        with kept.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if len(row) == 3 + len(Inspection._fields)]
    except (UnicodeDecodeError, csv.Error):
        return {}  # inspected again
    return {tuple(row[:3]): found for row in rows if (found := _inspection(row[3:])) is not None}


def _inspection(cells: list[str]) -> Inspection | None:
    """Returns what a row tells of a usable file, None where the row is damaged."""
    width, height, sha256, likeness, border, problem, remark = cells
    try:
        lengths = [len(bytes.fromhex(digest)) for digest in (sha256, likeness)]
        found = Inspection(int(width), int(height), sha256, likeness, float(border), "", remark)
    except ValueError:
        return None
    whole = lengths == [32, HASH_SIDE**2 // 8]
    return found if whole and not problem and min(found.width, found.height) > 0 else None


def near_pairs(hashes: Sequence[str], distance: int) -> list[tuple[int, int]]:
    """Returns the pairs (i, j), i < j, of hashes that differ in `distance` bits or fewer."""
    words = _words(hashes)
    pairs = []
    for i in range(len(words) - 1):
        pairs += [(i, i + 1 + int(j)) for j in _near(words[i + 1 :], words[i], distance)]
    return pairs


def near_places(hashes: Sequence[str], one: str, distance: int) -> list[int]:
    """Returns the places of the hashes that differ from `one` in `distance` bits or fewer."""
    return _near(_words(hashes), _words([one])[0], distance).tolist()


def _words(hashes: Sequence[str]) -> np.ndarray:
    encoded = b"".join(map(bytes.fromhex, hashes))
    return np.frombuffer(encoded, np.uint64).reshape(-1, HASH_SIDE**2 // 64)


def _near(words: np.ndarray, one: np.ndarray, distance: int) -> np.ndarray:
    # The first word alone rules most out.
    rest = np.flatnonzero(np.bitwise_count(words[:, 0] ^ one[0]) <= distance)
    return rest[np.bitwise_count(words[rest] ^ one).sum(axis=1) <= distance]
