"""Trains and evaluates the runs of a study: stochconv study --help."""

from stochconv_jax.huge_pages import restart_with_huge_pages


def main() -> None:
    """Reads the command line and makes the study's runs."""
    restart_with_huge_pages()  # before the imports, which take seconds
    from stochconv_jax.command_line import run
    from stochconv_jax.evidence.study import USAGE, study

    run(study, USAGE)


if __name__ == "__main__":
    main()
