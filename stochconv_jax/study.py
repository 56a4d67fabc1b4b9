"""Trains and evaluates the runs of a study: python -m stochconv_jax.study --help."""

from stochconv_jax.huge_pages import restart_with_huge_pages

if __name__ == "__main__":
    restart_with_huge_pages()  # before the imports, which take seconds
    from stochconv_jax.command_line import run
    from stochconv_jax.evidence.study import USAGE, study

    run(study, USAGE)
