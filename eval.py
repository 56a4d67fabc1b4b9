"""Evaluates a run: python eval.py --workdir=runs/split_b0."""

from stochconv_jax.eval import main

if __name__ == "__main__":
    main()
