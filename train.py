"""Trains a network: python train.py --config=configs/split_b0.py --workdir=runs/split_b0."""

from stochconv_jax.command_line import run
from stochconv_jax.training.loop import train

if __name__ == "__main__":
    run(train)
