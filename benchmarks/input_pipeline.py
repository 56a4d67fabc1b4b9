"""Images a second from prepared files to batches: python -m benchmarks.input_pipeline."""

import argparse
import importlib.util
import itertools
import os
import pathlib
import tempfile
import time
from collections.abc import Callable, Sequence

import numpy as np
from ml_collections import ConfigDict

from benchmarks.measure import RESULTS, report
from configs import base
from stochconv_jax.data.load import load_dataset
from stochconv_jax.data.pipeline import Pipeline
from stochconv_jax.huge_pages import restart_with_huge_pages

BATCH = 8


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
        speeds = _speeds(config, options.repeats)
    cores = os.cpu_count() or 1
    decoded = speeds.get("simplejpeg decoding, one thread")
    rows = [
        {
            "what": name,
            "images/s": speed,
            "images/s a core": speed / used,
            "of decoding": decoded and speed / used / decoded,
        }
        for name, speed in speeds.items()
        for used in [1 if "one thread" in name else cores]
    ]
    setting = f"{options.images} JPEGs of {options.high}x{options.high}, batch {BATCH}"
    report("input_pipeline", setting, rows, options.results)


def _speeds(config: ConfigDict, repeats: int) -> dict[str, float]:
    dataset = load_dataset(config.data)
    speeds = {}
    if importlib.util.find_spec("simplejpeg"):
        import simplejpeg

        files = [dataset.records[index]["image"] for index in range(config.data.synthetic_count)]
        speeds["simplejpeg decoding, one thread"] = _images_per_second(
            lambda: [simplejpeg.decode_jpeg(file) for file in files] and len(files), repeats
        )
    else:
        print("bare decoding is left out; `make benchmarks` installs simplejpeg")
    for workers in (0, 2):
        pipeline = Pipeline(dataset, tuple(config.data.low_size), high=True, workers=workers)
        with_workers = f"{workers} workers" if workers else "threads"
        batches = pipeline.training_batches(BATCH, seed=0, first_step=0)
        next(batches)  # starts the readers
        steps = max(1, config.data.synthetic_count // BATCH)
        speeds[f"training batches, {with_workers}"] = _images_per_second(
            lambda batches=batches, steps=steps: sum(
                len(batch["label"]) for batch in itertools.islice(batches, steps)
            ),
            repeats,
        )
    return speeds


def _images_per_second(read: Callable[[], int], repeats: int) -> float:
    """Returns the median speed of `read`, which returns how many images it has read."""
    speeds = []
    for _ in range(repeats):
        start = time.perf_counter()
        speeds.append(read() / (time.perf_counter() - start))
    return float(np.median(speeds))


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
