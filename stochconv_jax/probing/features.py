"""Features of a frozen network, kept by the image's content so that none is computed twice."""

import hashlib
import io
import pathlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from tqdm import tqdm

from stochconv_jax.atomic_write import atomic_write
from stochconv_jax.data.dataset.image_dataset import ImageDataset
from stochconv_jax.data.pipeline.batches import image_of
from stochconv_jax.data.pipeline.shrink import shrink
from stochconv_jax.inference.photographs import index_of_digest
from stochconv_jax.keys import Purpose, run_key
from stochconv_jax.models import Context, TwoBranchNetwork
from stochconv_jax.models.stage_outputs import StageOutputs
from stochconv_jax.ops import sample_windows
from stochconv_jax.probing.inputs import (
    FAMILIAR_SIDE,
    SHRUNK_BY,
    WINDOWS,
    given_size,
    shrunk_size,
    window_size,
)

THREADS = 4
# A network holds about half a kilobyte for each pixel of the batch that it looks at.
BATCH_PIXELS = 1 << 20
MOST_IMAGES = 32

# By the names of the views: "whole_S" of the image shrunk by S, "windows_N" of the first N windows.
Features = dict[str, np.ndarray]
Extract = Callable[[np.ndarray], np.ndarray]


def image_features(
    dataset: ImageDataset, network: TwoBranchNetwork, directory: pathlib.Path, seed: int
) -> Features:
    """Computes the features of every image, those that `directory` holds not again.

    Args:
      dataset: the images.
      network: a plain one, in evaluation mode; the features are those that its classifier sees.
      directory: where each image's features are kept, by its SHA-256.
      seed: of the windows.

    Returns:
      float32 [images, features] by the names of the views.
    """
    place = directory / _fingerprint(dataset, network, seed)
    place.mkdir(parents=True, exist_ok=True)
    files = [place / f"{example.sha256}.npz" for example in dataset.examples]
    missing = [number for number, file in enumerate(files) if not file.exists()]
    if missing:
        bar = tqdm(total=len(files), desc="Looking", unit="image", leave=False)
        with bar, ThreadPoolExecutor(THREADS) as pool:
            bar.update(len(files) - len(missing))
            for number, found in _compute(dataset, network, seed, missing, pool):
                atomic_write(files[number], _encode(found))
                bar.update()
    kept = [_read(file) for file in files]
    return {name: np.stack([each[name] for each in kept]) for name in kept[0]}


def _compute(
    dataset: ImageDataset,
    network: TwoBranchNetwork,
    seed: int,
    numbers: Sequence[int],
    pool: ThreadPoolExecutor,
) -> Iterator[tuple[int, Features]]:
    """Yields each image's number and features."""
    extract, size = _make_extract(network), dataset.framing.size
    rows = min(MOST_IMAGES, max(1, BATCH_PIXELS // (size[0] * size[1])))
    for first in range(0, len(numbers), rows):
        own = numbers[first : first + rows]
        images = list(pool.map(lambda number: image_of(dataset.records[number]), own))
        digests = [dataset.examples[number].sha256 for number in own]
        # The last batch is filled up, so that every shape is compiled once.
        filled = [min(row, len(own) - 1) for row in range(rows)]
        found = _look(
            [images[row] for row in filled], [digests[row] for row in filled], extract, seed
        )
        for row, number in enumerate(own):
            yield number, {name: values[row] for name, values in found.items()}


def _look(
    images: Sequence[np.ndarray], digests: Sequence[str], extract: Extract, seed: int
) -> Features:
    """Returns the features [B, features] of every view of a batch."""
    height, width = images[0].shape[:2]
    size = (height, width)
    found = {
        f"whole_{factor}": extract(np.stack([without_detail(image, factor) for image in images]))
        for factor in SHRUNK_BY
    }
    corners = window_corners(digests, size, seed)
    tall, wide = window_size(size)
    each = []
    # One window of every image at a time, so that a batch holds no more than one of whole images.
    for number in range(corners.shape[1]):
        cut = [
            image[top : top + tall, left : left + wide]
            for image, (top, left) in zip(images, corners[:, number], strict=True)
        ]
        each.append(extract(np.stack(cut)))
    for count in WINDOWS:
        found[f"windows_{count}"] = np.mean(each[:count], axis=0)
    return found


def without_detail(image: np.ndarray, factor: int) -> np.ndarray:
    """Returns an image shrunk as the pipeline shrinks, and enlarged to its `given_size`."""
    if factor == 1:
        return image
    size = (image.shape[0], image.shape[1])
    small = shrink(image, shrunk_size(size, factor))
    given = given_size(size, factor)
    return small if small.shape[:2] == given else cv2.resize(small, given[::-1])


def window_corners(digests: Sequence[str], size: tuple[int, int], seed: int) -> np.ndarray:
    """Returns int32 [B, windows, 2], where an image's even windows lie, by its content alone."""
    indices = jnp.array([index_of_digest(digest) for digest in digests], jnp.int32)
    key = run_key(seed, Purpose.PROBING)
    corners = sample_windows(
        key,
        len(digests),
        max(WINDOWS),
        size,
        window_size(size),
        image_index=indices,
        placement="even",
    )
    return np.asarray(corners)


def _make_extract(network: TwoBranchNetwork) -> Extract:
    """Compiles uint8 [B, h, w, 3] -> float32 [B, features], what the classifier would be given."""
    graph, state = nnx.split(network)

    @jax.jit
    def extract(state: nnx.State, images: jax.Array) -> jax.Array:
        branch = nnx.merge(graph, state).branches["global"]
        context = Context.of_pass(jax.random.key(0), jnp.arange(images.shape[0]))
        found = branch({"image_low": images}, context, "global", StageOutputs()).features
        # Some families leave the pooling to their classifier.
        return found.reshape(found.shape[0], -1, found.shape[-1]).mean(axis=1)

    return lambda images: np.asarray(extract(state, images), np.float32)


def _fingerprint(dataset: ImageDataset, network: TwoBranchNetwork, seed: int) -> str:
    """Returns what tells features apart: the weights, the framing, the views and their windows."""
    conv = network.branches["global"].conv
    facts = (
        dataset.framing.name,
        seed,
        SHRUNK_BY,
        WINDOWS,
        FAMILIAR_SIDE,
        conv.mean,
        conv.deviation,
    )
    digest = hashlib.sha256(repr((*facts, conv.strides, conv.padding)).encode())
    for kind in (nnx.Param, nnx.BatchStat):
        for path, variable in sorted(nnx.to_flat_state(nnx.state(network, kind))):
            digest.update(repr(path).encode())
            digest.update(np.asarray(variable[...]).tobytes())
    return digest.hexdigest()[:16]


def _encode(found: Features) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **found)
    return buffer.getvalue()


def _read(file: pathlib.Path) -> Features:
    with np.load(file) as arrays:
        return dict(arrays)
