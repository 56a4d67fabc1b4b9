"""The ArrayRecord files of prepared images, at random access."""

import contextlib
import io
import logging
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow_datasets as tfds


def open_records(directory: pathlib.Path) -> tuple[Sequence[dict[str, Any]], tuple[int, int]]:
    """Opens what an `ImageBuilder` wrote: records at random access, and their (height, width)."""
    with quiet():
        builder = tfds.builder_from_directory(str(directory))
        decoders = {"image": tfds.decode.SkipDecoding()}
        records = builder.as_data_source("images", decoders=decoders)
    height, width, _ = builder.info.features["image"].shape
    return records, (height, width)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps TFDS's notices off the terminal; the builders show a progress bar of their own."""
    tfds.disable_progress_bar()
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
