"""Trains and evaluates the runs of a study: stochconv study --help."""

from typing import Any

from stochconv_jax.huge_pages import restart_with_huge_pages

USAGE = """usage: stochconv study --config=FILE[:ARGUMENT] --workdir=DIRECTORY
                       [--config.base.SECTION.FIELD=VALUE ...]

Trains and evaluates every model of the study with every seed, skipping what is done. Start it again
to go on, and several times, on several machines that share DIRECTORY, to divide the work. Machines
that join (docs/scaling.md) make each run together.
The studies are in configs/studies/; `stochconv compare` compares what they leave."""


def main() -> None:
    """Reads the command line and makes the study's runs."""
    restart_with_huge_pages()  # before the imports
    from stochconv_jax.command_line import run

    run(_study, USAGE)


def _study(*command: Any) -> None:
    # Not before the command is known: these imports take seconds.
    from stochconv_jax.evidence.study import study

    study(*command)


if __name__ == "__main__":
    main()
