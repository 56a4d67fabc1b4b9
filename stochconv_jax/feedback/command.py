"""The command line of `stochconv feedback`."""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from stochconv_jax.command_line import mistakes_in_a_sentence
from stochconv_jax.feedback.export import select_flags, write_export
from stochconv_jax.feedback.store import FeedbackStore

DESCRIPTION = "What people flagged as wrong in a demo, made ready to train with."


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and does what it says."""
    options = _parser().parse_args(arguments)
    with mistakes_in_a_sentence("; nothing was written"):
        _export(FeedbackStore(options.store), pathlib.Path(options.output))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "stochconv feedback", description=DESCRIPTION, allow_abbrev=False
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    export = verbs.add_parser(
        "export", help="a folder of images and labels.csv", allow_abbrev=False
    )
    export.add_argument("store", help="file of flags that a demo keeps")
    export.add_argument("--output", required=True, help="directory to write; a new one")
    return parser


def _export(store: FeedbackStore, output: pathlib.Path) -> None:
    export = select_flags(store.flags())
    for sentence in export.left_out:
        print(f"left out: {sentence}", file=sys.stderr)
    none = len(export.none_of_these)
    if none:
        names = ", ".join(export.none_of_these)
        print(f"left out: {none} that show none of the classes: {names}", file=sys.stderr)
    write_export(export, store.flags(), output)
    print(
        f"{output} holds {len(export.exported)} of {export.flags} flags; look through "
        f"{output / 'labels.csv'}, then train with `stochconv retrain RUN --feedback={output}`"
    )
