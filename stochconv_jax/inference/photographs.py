"""Photographs as people have them: framed as a run's images were, and batched."""

import hashlib
import io
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from stochconv_jax.data.framing import Framing
from stochconv_jax.data.pipeline.batches import Batch, decode
from stochconv_jax.data.pipeline.views import derive_views
from stochconv_jax.errors import InputError
from stochconv_jax.runs.run import Run

Photograph = str | pathlib.Path | bytes | np.ndarray | Image.Image


class FramedPhotograph(NamedTuple):
    """A photograph, cropped and resized.

    Attributes:
      name: of its file, or its place among those given.
      jpeg: as preparation would have written it.
      image_index: a number from its content, of which its windows are drawn: the same photograph
        meets the same windows in any company.
      metadata: float32 [M], for networks with a metadata branch; empty for others.
    """

    name: str
    jpeg: bytes
    image_index: int
    metadata: np.ndarray = np.empty(0, np.float32)


def frame_photograph(photograph: Photograph, framing: Framing, name: str = "") -> FramedPhotograph:
    """Reads and frames one photograph.

    Args:
      photograph: path of an image file; its content; uint8 [H, W, 3] of RGB; or an image of Pillow.
      framing: of the run.
      name: what to call it; where "", the path, or "" of a content.

    Raises:
      InputError: it is not a whole image; the message does not name it.
    """
    encoded = _encoded(photograph)
    known = "" if isinstance(photograph, bytes) else str(photograph)
    return FramedPhotograph(name or known, framing.frame(encoded), content_index(encoded))


def content_index(encoded: bytes) -> int:
    """Returns an index in [0, 2**31) from a file's content."""
    return index_of_digest(hashlib.sha256(encoded).hexdigest())


def index_of_digest(digest: str) -> int:
    """Returns the `content_index` of a file from the hexadecimal SHA-256 of its content."""
    return int(digest[:8], 16) >> 1


def photograph_batches(
    photographs: Sequence[FramedPhotograph], run: Run, rows: int
) -> Iterator[tuple[Sequence[FramedPhotograph], Batch]]:
    """Yields photographs, `rows` at a time, with their batch; the last batch is filled up."""
    strides = run.stem_strides if run.sees_high else None
    data = run.config.data
    for first in range(0, len(photographs), rows):
        own = photographs[first : first + rows]
        filled = [own[min(row, len(own) - 1)] for row in range(rows)]
        batch: Batch = {}
        if run.sees_pixels:
            views = [
                derive_views(decode(photograph.jpeg), data.low_size, strides, data.crop_size)
                for photograph in filled
            ]
            batch = {key: np.stack([view[key] for view in views]) for key in views[0]}
        if run.metadata:
            batch["metadata"] = np.stack([photograph.metadata for photograph in filled])
        batch["index"] = np.array([photograph.image_index for photograph in filled], np.int32)
        yield own, batch


def _encoded(photograph: Photograph) -> bytes:
    if isinstance(photograph, bytes):
        return photograph
    if isinstance(photograph, str | pathlib.Path):
        try:
            return pathlib.Path(photograph).read_bytes()
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}") from error
    if isinstance(photograph, np.ndarray):
        if photograph.dtype != np.uint8 or photograph.ndim != 3 or photograph.shape[2] != 3:
            raise InputError(
                f"an array of {photograph.dtype} {photograph.shape}; give uint8 [height, width, 3]"
            )
        photograph = Image.fromarray(photograph)
    buffer = io.BytesIO()
    photograph.save(buffer, "PNG", compress_level=1)  # without loss, then as any file
    return buffer.getvalue()
