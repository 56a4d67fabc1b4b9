"""Trains the peers' methods and ours on megapixel digits, and compares them.

python -m benchmarks.peers            digits of scikit-learn, as small as two cores afford
python -m benchmarks.peers --published --mnist DIR    the published sizes; for a GPU
"""

import argparse
import dataclasses
import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.measure import RESULTS, device_name, report
from benchmarks.peers.digits import mnist, small_digits
from benchmarks.peers.methods import METHODS
from benchmarks.peers.picture import plot_accuracy
from benchmarks.peers.scenes import Scenes, make_scenes
from benchmarks.peers.setting import PUBLISHED, QUICK, Setting
from benchmarks.peers.training import Outcome, run
from stochconv_jax.command_line import mistakes_in_a_sentence
from stochconv_jax.errors import InputError

OVERRIDES = ("canvas", "strokes", "train", "test", "epochs")
# Not those of training: whoever changes the seed of a network keeps the images.
SCENE_SEEDS = {"train": 1, "test": 2}


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains, prints a table, and keeps it with a picture, after each method.

    The rows of other methods that were measured in the same setting stay.
    """
    options = _options(arguments)
    setting = PUBLISHED if options.published else QUICK
    given = {name: getattr(options, name) for name in OVERRIDES}
    setting = dataclasses.replace(
        setting, **{name: value for name, value in given.items() if value is not None}
    )
    if setting.train < setting.batch:
        raise InputError(f"--train is {setting.train}; use at least {setting.batch}, a batch")
    limits = {
        "test": (setting.test, 1),
        "epochs": (setting.epochs, 1),
        "seeds": (options.seeds, 1),
        "strokes": (setting.strokes, 0),
    }
    for name, (value, least) in limits.items():
        if value < least:
            raise InputError(f"--{name} is {value}; use at least {least}")
    train, test = (_scenes(setting, split, options.mnist) for split in ("train", "test"))
    words = _words(setting, options)
    device = re.sub(r"[^a-z0-9]+", "-", device_name().lower()).strip("-")
    kept = options.results / device / "peers.json"
    for name in options.methods:
        found = [run(METHODS[name], setting, train, test, seed) for seed in range(options.seeds)]
        rows = _kept_rows(kept, words) | {name: _row(name, found)}
        in_order = [rows[each] for each in METHODS if each in rows]
        report("peers", words, in_order, options.results)
        picture = plot_accuracy(in_order, words.replace("; ", ";\n"))
        picture.savefig(kept.with_suffix(".png"), dpi=90)


def _kept_rows(path: pathlib.Path, setting: str) -> dict[str, dict[str, Any]]:
    """Returns what was measured of other methods in the same setting, by their names."""
    if not path.exists():
        return {}
    content = json.loads(path.read_text())
    return {row["method"]: row for row in content["rows"]} if content["setting"] == setting else {}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--published", action="store_true", help="the published sizes")
    parser.add_argument("--mnist", type=pathlib.Path, help="directory of MNIST's official files")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, default=1, help="of the networks; 1 is seed 0")
    parser.add_argument("--canvas", type=int, help="side of the images in pixels")
    parser.add_argument("--strokes", type=int, help="that mislead, in each image")
    parser.add_argument("--train", type=int, help="images to train with")
    parser.add_argument("--test", type=int, help="images to test with")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    return parser.parse_args(arguments)


def _scenes(setting: Setting, split: str, directory: pathlib.Path | None) -> Scenes:
    if directory is None:
        digits = small_digits(split, setting.digit)
    else:
        digits = mnist(directory, split, setting.digit)
    count = setting.train if split == "train" else setting.test
    return make_scenes(digits, count, setting.canvas, setting.strokes, SCENE_SEEDS[split])


def _row(name: str, found: Sequence[Outcome]) -> dict[str, Any]:
    each = [100 * float(outcome.right.mean()) for outcome in found]
    images = len(found[0].right)
    right = round(float(np.mean(each)) / 100 * images)
    interval = stats.binomtest(right, images).proportion_ci(method="wilson")
    return {
        "method": name,
        "accuracy %": float(np.mean(each)),
        "from %": 100 * float(interval.low),
        "to %": 100 * float(interval.high),
        "each seed %": ", ".join(f"{value:.1f}" for value in each),
        "training loss": float(np.mean([outcome.losses[-1] for outcome in found])),
        "MFLOPs an image": found[0].megaflops,
        "step MB": found[0].megabytes,
        "parameters": found[0].parameters,
        "training CPU s": float(np.mean([outcome.seconds for outcome in found])),
    }


def _words(setting: Setting, options: argparse.Namespace) -> str:
    source = "scikit-learn's digits" if options.mnist is None else "MNIST"
    return (
        f"{source}, {setting.digit} pixels wide, five with {setting.strokes} strokes on "
        f"{setting.canvas}x{setting.canvas}; {setting.train} images to train with and "
        f"{setting.test} to test with, {setting.epochs} epochs in batches of {setting.batch}, "
        f"{options.seeds} seed{'s' * (options.seeds > 1)}"
    )


if __name__ == "__main__":
    with mistakes_in_a_sentence("; nothing is kept"):
        main()
