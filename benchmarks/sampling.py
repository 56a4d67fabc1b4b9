"""What K draws of windows cost, and what placing them does: python -m benchmarks.sampling."""

import argparse
import functools
import pathlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from benchmarks.measure import RESULTS, milliseconds, report
from benchmarks.train_step import BOTH, Network, make_batch
from stochconv_jax.huge_pages import restart_with_huge_pages
from stochconv_jax.inference.predict import make_predict
from stochconv_jax.models import BACKBONES, create_model
from stochconv_jax.runs.devices import make_mesh


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints and keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="efficientnet_b0", choices=BACKBONES)
    parser.add_argument("--draws", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=224, help="of the small images")
    parser.add_argument("--high", type=int, default=1024, help="side of the large images")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    options = parser.parse_args(arguments)
    counts = sorted({1, *options.draws})
    ends = [1, counts[-1]]  # which tell what the other placements cost a pass and a draw
    chosen = {"independent": counts, "even": ends, "guided": ends}
    network = Network(options.backbone, options.side, BOTH)
    batch, key = make_batch(network, options.batch, options.high), jax.random.key(0)
    predict = {}
    for placement, draws in chosen.items():
        model = create_model(
            BACKBONES[options.backbone],
            seed=0,
            output_size=(-(-options.side // 2),) * 2,
            placement=placement,
            dtype=jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16,
        )
        weights = nnx.state(model, nnx.Param, nnx.BatchStat)
        for count in draws:
            run = make_predict(model, make_mesh(), count)
            predict[f"{count} {placement}"] = functools.partial(run, weights, batch, key)
    times = milliseconds(predict, options.repeats)
    single = times["1 independent"]
    rows = [
        {
            "K": name.split()[0],
            "windows": name.split()[1],
            "ms": time,
            "single evaluations": time / single,
            "of K whole passes": time / (int(name.split()[0]) * single),
        }
        for name, time in times.items()
    ]
    setting = (
        f"full split of {options.backbone}, batch {options.batch}, {options.side}x{options.side} "
        f"and {options.high}x{options.high} uint8"
    )
    report("sampling", setting, rows, options.results)


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
