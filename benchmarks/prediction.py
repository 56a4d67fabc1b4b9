"""What it takes to see detail: larger images or windows of them: python -m benchmarks.prediction.

Images shrunk by 8, 4, 2 and not at all in plain networks; and shrunk by 8 and by 4 beside a second
ordinary branch, or beside draws of windows that are as large as the small image.
"""

import argparse
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from benchmarks.measure import RESULTS, milliseconds, report
from benchmarks.train_step import BOTH, Network, make_batch
from stochconv_jax.huge_pages import restart_with_huge_pages
from stochconv_jax.inference.predict import make_predict
from stochconv_jax.models import BACKBONES, create_model
from stochconv_jax.models.backbone import stem_output_size
from stochconv_jax.runs.devices import make_mesh

ORDINARY = ("global", "global")
WITH_SECOND_BRANCH = (8, 4)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints and keeps the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default="efficientnet_lite0", choices=BACKBONES)
    parser.add_argument("--high", type=int, default=288, help="side of the large images")
    parser.add_argument("--draws", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    options = parser.parse_args(arguments)
    predict = {}
    for by in (8, 4, 2, 1):
        side = options.high // by
        predict[f"plain, {side}x{side}"] = _predict(Network(options.backbone, side), 1, options)
    for by in WITH_SECOND_BRANCH:
        side = options.high // by
        name = f"{side}x{side} and a second ordinary branch"
        predict[name] = _predict(Network(options.backbone, side, ORDINARY), 1, options)
        for draws in options.draws:
            name = f"{side}x{side} and {draws} draw{'s' * (draws > 1)} of a window"
            predict[name] = _predict(Network(options.backbone, side, BOTH), draws, options)
    times = milliseconds(predict, options.repeats)
    first = next(iter(times.values()))
    rows = [
        {"network": name, "ms per image": time / options.batch, "times the first": time / first}
        for name, time in times.items()
    ]
    setting = f"{options.backbone}, batch {options.batch}, images of {options.high}x{options.high}"
    report("prediction", setting, rows, options.results)


def _predict(network: Network, draws: int, options: argparse.Namespace) -> Callable[[], Any]:
    backbone = BACKBONES[network.backbone]
    model = create_model(
        backbone,
        seed=0,
        branches=network.branches,
        windows=1 if "stochastic" in network.branches else 0,
        placement="even",
        output_size=stem_output_size(backbone, (network.side,) * 2),
        dtype=jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16,
    )
    weights = nnx.state(model, nnx.Param, nnx.BatchStat)
    batch = make_batch(network, options.batch, options.high)
    return functools.partial(
        make_predict(model, make_mesh(), draws), weights, batch, jax.random.key(0)
    )


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
