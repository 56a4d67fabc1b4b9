"""Evaluates a run: stochconv eval --help, or python -m stochconv_jax.eval --help."""

from typing import Any

from stochconv_jax.huge_pages import restart_with_huge_pages

USAGE = """usage: stochconv eval --workdir=DIRECTORY [--config.eval.FIELD=VALUE ...]
       stochconv eval --workdir=DIRECTORY --data=DIRECTORY --table=CSV [--image-column=NAME]
                      [--label-column=NAME] [--group-column=NAME] [--output=DIRECTORY]

Judges a run on a split of its own images, or on other labelled images. The run's own config is
read; --config=FILE[:ARGUMENT] gives another, which may differ only in what changes no training.
configs/base.py says what every field means."""
OPTIONS = {
    "data": "directory of other labelled images",
    "table": "their labels, CSV",
    "image_column": "its column of file names",
    "label_column": "its column of classes",
    "group_column": "its column of what belongs together, such as the patient",
    "output": "directory for what is written",
}


def main() -> None:
    """Reads the command line and evaluates."""
    restart_with_huge_pages()  # before the imports
    from stochconv_jax.command_line import run

    run(_evaluate, USAGE, OPTIONS)


def _evaluate(*command: Any, **options: str) -> None:
    # Not before the command is known: these imports take seconds.
    from stochconv_jax.evaluation.evaluate import evaluate

    evaluate(*command, **options)


if __name__ == "__main__":
    main()
