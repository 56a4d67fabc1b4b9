"""The command line of `python -m stochconv_jax.probe`."""

import argparse
import base64
import json
import os
import pathlib
import sys
from collections.abc import Sequence

from stochconv_jax.atomic_write import atomic_write
from stochconv_jax.command_line import image_size, mistakes_in_a_sentence
from stochconv_jax.data.preparation.folder import FolderTable, read_folder
from stochconv_jax.data.preparation.photograph import Photograph
from stochconv_jax.data.preparation.preparation import reserved
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.json_numbers import without_nan
from stochconv_jax.evaluation.page import as_png
from stochconv_jax.models import load_pretrained
from stochconv_jax.probing.advice import advise, windows_are_advised
from stochconv_jax.probing.images import FoundImages, folder_images, prepared_images
from stochconv_jax.probing.measurement import Measurement, measure
from stochconv_jax.probing.page import results_table, write_page
from stochconv_jax.probing.plot import plot_probe
from stochconv_jax.probing.recipe import training_commands
from stochconv_jax.runs.compilation_cache import keep_compiled

LISTED = 20
# A key of JAX holds no more.
MOST_SEEDS = 1 << 32
# Of options that fields of a config's `data` share their names and defaults with.
DEFAULTS = {
    "table": "labels.csv",
    "image_column": "image",
    "label_column": "target",
    "group_column": "",
}
WEIGHTS = "efficientnet_lite0"
DESCRIPTION = (
    "Asks whether detail matters on your images, before any training: what frozen features of a "
    "trained network tell of the whole image at several sizes and of windows at full detail."
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and writes probe.json, probe.png and probe.html."""
    options = _parser().parse_args(arguments)
    with mistakes_in_a_sentence("; the same command goes on where it stopped"):
        output = pathlib.Path(options.output)
        if output.exists() and not output.is_dir():
            raise InputError(f"--output {output} is a file; name a directory")
        source = _source(options)
        keep_compiled()
        network = load_pretrained(options.weights)
        _tell_of_groups(options)
        with reserved(output):
            found = (
                source
                if isinstance(source, FoundImages)
                else folder_images(source, options.size, output, options.processes)
            )
            _tell_left_out(found)
            measurement = measure(found.dataset, network, output, options.seed)
            advice = advise(measurement, found.larger)
            rows = measurement.rows()
            picture = as_png(plot_probe(rows, measurement.size))
            commands = _commands(measurement, options)
            page = write_page(
                measurement, advice, commands, picture, found.left_out, options.weights
            )
            atomic_write(output / "probe.png", base64.b64decode(picture))
            kept = {
                "size": measurement.size,
                "seed": options.seed,
                "weights": options.weights,
                "inputs": without_nan(rows),
            }
            atomic_write(output / "probe.html", page)
            atomic_write(output / "probe.json", json.dumps(kept, indent=2) + "\n")
    told = [*advice, *(["\n".join(commands)] if commands else [])]
    print(results_table(measurement), *told, output / "probe.html", sep="\n\n")


def _source(options: argparse.Namespace) -> FoundImages | list[Photograph]:
    """Opens prepared images or reads a folder's table, before anything is made."""
    if not 0 <= options.seed < MOST_SEEDS:
        raise InputError(f"--seed is {options.seed}; use a number from 0 to {MOST_SEEDS - 1}")
    if options.verb == "prepared":
        return prepared_images(pathlib.Path(options.source), options.label_column)
    if options.processes < 1:
        raise InputError(f"--processes is {options.processes}; use 1 or more")
    return read_folder(
        FolderTable(
            options.source,
            options.table,
            options.image_column,
            options.label_column,
            options.group_column,
        )
    )


def _commands(measurement: Measurement, options: argparse.Namespace) -> list[str]:
    """Returns the commands that train what is advised, if that is windows."""
    if not windows_are_advised(measurement):
        return []
    columns = {
        name: getattr(options, name)
        for name, default in DEFAULTS.items()
        if getattr(options, name, default) != default
    }
    return training_commands(measurement.size, options.verb, options.source, columns)


def _tell_of_groups(options: argparse.Namespace) -> None:
    if options.verb == "folder" and not options.group_column:
        print(
            "there is no --group-column, so that images of one patient or place may stand on both "
            "sides of a fold, which flatters every figure",
            file=sys.stderr,
        )


def _tell_left_out(found: FoundImages) -> None:
    for reason in found.left_out[:LISTED]:
        print(f"left out: {reason}", file=sys.stderr)
    if len(found.left_out) > LISTED:
        print(f"left out: {len(found.left_out) - LISTED} more, on the page", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    program = "python -m stochconv_jax.probe"
    parser = argparse.ArgumentParser(prog=program, description=DESCRIPTION, allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    folder = verbs.add_parser("folder", help="any directory with a CSV", allow_abbrev=False)
    add = folder.add_argument
    add("--source", required=True, help="directory of the images")
    add("--table", default=DEFAULTS["table"], help="CSV, as given or within --source")
    add("--image-column", default=DEFAULTS["image_column"], help="column of file names")
    add("--label-column", default=DEFAULTS["label_column"], help="column of classes")
    add(
        "--group-column",
        default=DEFAULTS["group_column"],
        help="column of what must stay in one fold",
    )
    said = (
        "SIDE or HEIGHTxWIDTH of full size; default: the medians of the images, at most 1024x1024"
    )
    add("--size", type=image_size, default=None, help=f"{said} pixels in all")
    add("--processes", type=int, default=os.cpu_count() or 1, help="default: one per core")
    prepared = verbs.add_parser(
        "prepared", help="what python -m stochconv_jax.prepare left", allow_abbrev=False
    )
    prepared.add_argument("--source", required=True, help="directory of prepared images")
    prepared.add_argument(
        "--label-column",
        default=DEFAULTS["label_column"],
        help="of the manifest: target, dx or dx7",
    )
    for verb in (folder, prepared):
        verb.add_argument("--output", required=True, help="directory to write")
        verb.add_argument(
            "--weights", default=WEIGHTS, help="of the network, a name or a file (%(default)s)"
        )
        verb.add_argument("--seed", type=int, default=0, help="of windows and folds (%(default)s)")
    return parser
