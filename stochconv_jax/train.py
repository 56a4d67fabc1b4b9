"""Trains a network: stochconv train --help, or python -m stochconv_jax.train --help."""

from typing import Any

from stochconv_jax.huge_pages import restart_with_huge_pages

USAGE = """usage: stochconv train --config=FILE[:ARGUMENT] --workdir=DIRECTORY
                       [--config.SECTION.FIELD=VALUE ...]

Trains until train.epochs, from the latest checkpoint in DIRECTORY where there is one; --config may
then be left out.
FILE is your own or one of those shipped, such as quickstart; configs/base.py says what every field
means."""


def main() -> None:
    """Reads the command line and trains."""
    restart_with_huge_pages()  # before the imports
    from stochconv_jax.command_line import run

    run(_train, USAGE)


def _train(*command: Any) -> None:
    # Not before the command is known: these imports take seconds.
    from stochconv_jax.training.loop import train

    train(*command)


if __name__ == "__main__":
    main()
