"""Evaluates a run: python eval.py --config=configs/split_b0.py --workdir=runs/split_b0."""

from stochconv_jax.command_line import run
from stochconv_jax.evaluation.evaluate import evaluate

if __name__ == "__main__":
    run(evaluate)
