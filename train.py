"""Trains a network: python train.py --config=configs/split_b0.py --workdir=runs/split_b0."""

from stochconv_jax.train import main

if __name__ == "__main__":
    main()
