"""Preparing and reading beside bare decoding: python -m benchmarks.input_pipeline."""

import argparse
import importlib.util
import io
import itertools
import os
import pathlib
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from benchmarks.measure import RESULTS, report
from configs import base
from stochconv_jax.data.framing import Framing
from stochconv_jax.data.load import load_dataset
from stochconv_jax.data.pipeline.batches import Pipeline, decode
from stochconv_jax.data.pipeline.shrink import shrink
from stochconv_jax.data.pipeline.views import empty_views, write_views
from stochconv_jax.data.pipeline.warp import Warp
from stochconv_jax.data.preparation.inspection import inspect_file
from stochconv_jax.huge_pages import restart_with_huge_pages

BATCH = 8
# Width and height of the photographs to prepare, typical of ISIC.
PHOTOGRAPH = (1504, 1129)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints and keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=160)
    parser.add_argument("--high", type=int, default=1024, help="side of the images")
    parser.add_argument("--low", type=int, default=224, help="side of the small images")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        config = base.get_config()
        config.data.synthetic_count = options.images
        config.data.prepared_directory = directory
        config.data.high_size = (options.high, options.high)
        config.data.low_size = (options.low, options.low)
        pipeline = Pipeline.from_config(load_dataset(config.data), config.data, high=True)
        encoded = [pipeline.dataset.records[index]["image"] for index in range(options.images)]
        rows = _training(config.data, pipeline, encoded, options.repeats)
        rows += _preparing(pathlib.Path(directory), encoded, options.high, options.repeats)
    setting = f"{options.images} JPEGs of {options.high}x{options.high}, batch {BATCH}"
    report("input_pipeline", setting, rows, options.results)


def _training(
    config: ConfigDict, pipeline: Pipeline, encoded: list[bytes], repeats: int
) -> list[dict]:
    """Returns the speeds of bare decoding, of each stage alone, and of whole batches."""
    cores = os.cpu_count() or 1
    bare, alone, at_once = _bare_decoder(), None, None
    rows = []
    if bare:
        alone = _speed(lambda: map(bare, encoded), repeats)
        with ThreadPoolExecutor(cores) as pool:
            at_once = _speed(lambda: pool.map(bare, encoded), repeats) / cores
        rows.append(_row("bare decoding, one thread", alone, alone))
        rows.append(_row("bare decoding, one thread per core", at_once, alone, at_once))
    images = [decode(image) for image in encoded[:32]]
    warp, rng = Warp(), np.random.default_rng(0)
    room = empty_views(BATCH, images[0].shape[:2], pipeline.low_size, pipeline.strides)
    views = [{name: array[row] for name, array in room.items()} for row in range(BATCH)]
    stages: dict[str, Callable[[], Iterator]] = {
        "decode": lambda: map(decode, encoded),
        "augment": lambda: (warp(image, rng) for image in images),
        "shrink": lambda: (shrink(image, pipeline.low_size) for image in images),
        "shrink and lay out as planes": lambda: (
            write_views(image, view)
            for image, view in zip(images, itertools.cycle(views), strict=False)
        ),
        "augment, shrink and lay out": lambda: (
            write_views(image, view, to_source=warp.to_source(image.shape[:2], rng))
            for image, view in zip(images, itertools.cycle(views), strict=False)
        ),
    }
    rows += [_row(f"stage: {name}", _speed(run, repeats), alone) for name, run in stages.items()]
    for config.keep_decoded in (False, True):
        dataset = load_dataset(config)
        kept = ", kept decoded" if config.keep_decoded else ""
        for config.workers in (0, cores):
            reader = Pipeline.from_config(dataset, config, high=True)
            readers = f"{config.workers} worker processes" if config.workers else "threads"
            speed = _batches_speed(
                reader.training_batches(BATCH, seed=0, first_step=0), len(encoded), repeats
            )
            name = f"training batches, {readers}{kept}"
            rows.append(_row(name, speed / cores, alone, at_once))
        config.workers = 0
        reader = Pipeline.from_config(dataset, config, high=True)
        passes = itertools.repeat(reader)
        batches = itertools.chain.from_iterable(
            each.evaluation_batches("all", BATCH) for each in passes
        )
        speed = _batches_speed(batches, len(encoded), repeats)
        name = f"evaluation batches, threads{kept}"
        rows.append(_row(name, speed / cores, alone, at_once))
    return rows


def _batches_speed(batches: Iterator[dict], images: int, repeats: int) -> float:
    next(batches)  # starts the readers
    steps = max(1, images // BATCH)
    speed = _speed(lambda: _images(batches, steps), repeats)
    if isinstance(batches, Generator):
        batches.close()
    return speed


def _images(batches: Iterator[dict], steps: int) -> Iterator[int]:
    for batch in itertools.islice(batches, steps):
        yield from batch["label"]


def _preparing(
    directory: pathlib.Path, encoded: list[bytes], side: int, repeats: int
) -> list[dict]:
    """Returns the speeds of decoding photographs and of what is done to each, in one thread."""
    paths = []
    for number, image in enumerate(encoded[:24]):
        large = Image.open(io.BytesIO(image)).resize(PHOTOGRAPH, Image.Resampling.BICUBIC)
        paths.append(directory / f"{number}.jpg")
        large.save(paths[-1], quality=92)
    bare, framing = _bare_decoder(), Framing((side, side), (1, 1))
    size = "{}x{}".format(*PHOTOGRAPH)
    alone = bare and _speed(lambda: (bare(path.read_bytes()) for path in paths), repeats)
    rows = [_row(f"bare decoding of photographs, {size}", alone, alone)] if alone else []
    stages: dict[str, Callable] = {"inspect": inspect_file, "frame and encode": framing.encode}
    return rows + [
        _row(f"preparing: {name}", _speed(lambda run=run: map(run, paths), repeats), alone)
        for name, run in stages.items()
    ]


def _bare_decoder() -> Callable[[bytes], np.ndarray] | None:
    if importlib.util.find_spec("simplejpeg") is None:
        print("bare decoding is left out; `make benchmarks` installs simplejpeg")
        return None
    import simplejpeg

    return simplejpeg.decode_jpeg


def _row(name: str, speed: float, alone: float | None, at_once: float | None = None) -> dict:
    """Returns a row; one of all cores is also held to bare decoding on all of them, `at_once`."""
    return {
        "on one core": name,
        "images/s": speed,
        "ms per image": 1e3 / speed,
        "of bare decoding": alone and speed / alone,
        "of it on all cores": at_once and speed / at_once,
    }


def _speed(run: Callable[[], Iterator], repeats: int) -> float:
    """Returns the median number of images per second when going through what `run` returns."""
    speeds = []
    for _ in range(repeats):
        start = time.perf_counter()
        count = sum(1 for _ in run())
        speeds.append(count / (time.perf_counter() - start))
    return float(np.median(speeds))


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
