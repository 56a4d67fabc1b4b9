"""The command line of `python -m stochconv_jax.predict`."""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from tqdm import tqdm

from stochconv_jax.atomic_write import atomic_write, write_table
from stochconv_jax.command_line import mistakes_in_a_sentence, output_file
from stochconv_jax.data.image_file import find_images
from stochconv_jax.errors import InputError
from stochconv_jax.prediction.page import PredictionPage
from stochconv_jax.prediction.predictor import PhotographPrediction, Predictor, load_run
from stochconv_jax.prediction.table import Row, read_metadata_table, rows_of
from stochconv_jax.runs.run import Run

DESCRIPTION = (
    "Says of photographs which class they show: a CSV with a row for each file, and a page with "
    "thumbnails beside it."
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and writes the table and the page."""
    options = _parser().parse_args(arguments)
    with mistakes_in_a_sentence("; nothing was written"):
        output = output_file(options.output, ".csv", "a CSV")
        for name in ("draws", "batch_size"):
            if getattr(options, name) < 0:
                flag = f"--{name.replace('_', '-')}"
                raise InputError(f"{flag} is {getattr(options, name)}; it must be 1 or more")
        predictor = load_run(
            options.run,
            checkpoint=options.checkpoint,
            draws=options.draws,
            batch_size=options.batch_size,
        )
        run = predictor.network.run
        images, rows = _images(options, run)
        failed = _predict(predictor, images, rows, output)
        _tell(predictor, len(images), failed, output)
        if len(failed) == len(images):
            raise InputError(f"none of the {len(images)} files could be used; {output} says why")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m stochconv_jax.predict", description=DESCRIPTION, allow_abbrev=False
    )
    parser.add_argument("run", help="directory of a trained run")
    parser.add_argument("images", nargs="*", help="image files, or directories of them")
    parser.add_argument(
        "--table", default="", help="CSV of what a network with a metadata branch is given"
    )
    parser.add_argument(
        "--image-column", default="", help="its column of file names; default: as the run's config"
    )
    parser.add_argument("--output", default="predictions.csv", help="CSV to write (%(default)s)")
    parser.add_argument(
        "--checkpoint", default="", choices=("best", "latest"), help="default: as the run's config"
    )
    parser.add_argument(
        "--draws", type=int, default=0, help="of windows, averaged per image; default: the run's"
    )
    parser.add_argument(
        "--batch-size", type=int, default=0, help="images at a time; changes no result"
    )
    return parser


def _images(
    options: argparse.Namespace, run: Run
) -> tuple[Sequence[pathlib.Path | str], Sequence[Row | None] | None]:
    """What to predict: files with their rows, or the table's rows where no pixels are read."""
    table = None
    if options.table:
        column = options.image_column or run.config.data.image_column
        table = read_metadata_table(pathlib.Path(options.table), column)
    if run.sees_pixels:
        if not options.images:
            raise InputError("no image is named; name files or directories of them")
        named = [pathlib.Path(name) for name in options.images]
        files = find_images(named)
        return files, None if table is None else rows_of(table, files, named)
    if options.images:
        raise InputError(
            f"the network of {run.directory} reads no pixels; leave the images out, and the rows "
            "of --table are predicted"
        )
    return [*(table or ())], None if table is None else [*table.values()]


def _predict(
    predictor: Predictor,
    images: Sequence[pathlib.Path | str],
    metadata: Sequence[Row | None] | None,
    output: pathlib.Path,
) -> list[PhotographPrediction]:
    """Writes the table and the page; returns what could not be predicted."""
    binary = len(predictor.classes) == 2
    columns = ["probability"] if binary else [f"probability_{c}" for c in predictor.classes]
    page, rows, failed = PredictionPage(predictor), [], []
    each = predictor.predict_each(images, metadata)
    bar = tqdm(each, "predicting", len(images), unit="image", leave=False)
    for found in bar:
        page.add(found)
        if found.problem:
            failed.append(found)
            rows.append([found.name, *[""] * len(columns), "", "", found.problem])
        else:
            shown = found.probabilities[1:] if binary else found.probabilities
            values = [f"{value:.17g}" for value in (*shown, found.spread)]
            rows.append([found.name, *values, found.decision, ""])
    write_table(output, ["image", *columns, "spread", "decision", "problem"], rows)
    atomic_write(output.with_suffix(".html"), page.render())
    return failed


def _tell(
    predictor: Predictor, count: int, failed: Sequence[PhotographPrediction], output: pathlib.Path
) -> None:
    for each in failed:
        print(f"not predicted: {each.name}: {each.problem}", file=sys.stderr)
    if len(predictor.classes) == 2:
        positive = predictor.classes[1]
        print(f"{positive} from a probability of {predictor.threshold:.4f} on: ", end="")
        print(predictor.threshold_note)
    print(f"{count - len(failed)} of {count} images are predicted in {output}")
    print(f"page: {output.with_suffix('.html')}")
