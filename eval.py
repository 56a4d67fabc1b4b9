"""Evaluates a run: python eval.py --config=configs/split_b0.py --workdir=runs/split_b0."""

from stochconv_jax.huge_pages import restart_with_huge_pages

if __name__ == "__main__":
    restart_with_huge_pages()  # before the imports, which take seconds
    from stochconv_jax.command_line import run
    from stochconv_jax.evaluation.evaluate import evaluate

    run(evaluate)
