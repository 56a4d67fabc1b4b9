"""The command line of `stochconv retrain`."""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from absl import logging

from stochconv_jax.command_line import mistakes_in_a_sentence, read_flags
from stochconv_jax.data.feedback_images import Feedback
from stochconv_jax.errors import InputError
from stochconv_jax.feedback.record import corrected_sentence
from stochconv_jax.feedback.replacement import Places, retrain
from stochconv_jax.feedback.retraining import HELD_OUT, Retraining
from stochconv_jax.feedback.verdict import MARGIN
from stochconv_jax.hosts.joining import joined
from stochconv_jax.saved_config import read_config

# retraining.md lists them all.
LISTED = 20
DESCRIPTION = (
    "Trains a run's network once more, anew, on its own images and on corrected ones, and takes it "
    "only where it is not worse on images that are held out. Exit code 1 where the old one is kept."
)
EPILOG = (
    "--config.train.FIELD=VALUE changes how the new network is trained, --config.eval.FIELD=VALUE "
    "how both are judged, and --config.data.directory=PLACE says where the run's images lie now."
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line, trains and judges."""
    options, rest = _parser().parse_known_args(arguments)
    logging.set_verbosity(logging.ERROR)
    note = "; the same command goes on from the last checkpoint, if any"
    with mistakes_in_a_sentence(note), joined():
        if not 0 <= options.margin < 1:
            raise InputError(f"--margin is {options.margin:g}; use 0 or more and less than 1")
        unknown = [word for word in rest if not word.startswith("--config.")]
        if unknown:
            raise InputError(
                f"{unknown[0]!r} is not an argument; write --config.SECTION.FIELD=VALUE for fields"
            )
        places = Places(pathlib.Path(options.output))
        places.check_free()
        run = pathlib.Path(options.run)
        read_config(run)  # which says so where it is none
        config, _ = read_flags(["retrain", f"--workdir={run}", *rest])
        retraining = Retraining.prepare(config, run, options.feedback, options.split)
        _tell(retraining.feedback)
        outcome = retrain(retraining, places, options.margin)
        print(corrected_sentence(outcome))
        print(outcome.verdict.sentence())
        if outcome.verdict.taken:
            print(f"{places.output} is the new run, with retraining.md")
        else:
            print(f"{run} stays what it is, and {places.rejected} is the other, see retraining.md")
    if not outcome.verdict.taken:
        sys.exit(1)


def _tell(feedback: Feedback) -> None:
    for image, reason in feedback.left_out[:LISTED]:
        print(f"left out: {image}: {reason}", file=sys.stderr)
    if len(feedback.left_out) > LISTED:
        print(f"left out: {len(feedback.left_out) - LISTED} more", file=sys.stderr)
    print(f"corrected images that train as well: {feedback.added}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "stochconv retrain",
        description=DESCRIPTION,
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("run", help="directory of a trained run")
    parser.add_argument(
        "--feedback", required=True, help="directory that `stochconv feedback export` wrote"
    )
    parser.add_argument("--output", required=True, help="directory of the new run")
    parser.add_argument(
        "--split", default="", choices=HELD_OUT, help="that judges; default: the run's eval.split"
    )
    parser.add_argument(
        "--margin",
        type=float,
        default=MARGIN,
        help="of ROC AUC, by which the new network may be worse at most (%(default)s)",
    )
    return parser
