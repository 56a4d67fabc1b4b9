"""The command line of `python -m stochconv_jax.prepare`."""

import argparse
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

from stochconv_jax.atomic_write import atomic_write
from stochconv_jax.command_line import image_size, mistakes_in_a_sentence, read_flags
from stochconv_jax.config_limits import check_limits
from stochconv_jax.data.dataset.image_dataset import order_classes
from stochconv_jax.data.dataset.splits import Drawing
from stochconv_jax.data.framing import Framing
from stochconv_jax.data.preparation.cifar import LAYOUTS, SIDE, read_cifar
from stochconv_jax.data.preparation.eyepacs import read_eyepacs
from stochconv_jax.data.preparation.folder import FolderTable, read_folder
from stochconv_jax.data.preparation.isic import read_isic
from stochconv_jax.data.preparation.photograph import Photograph
from stochconv_jax.data.preparation.preparation import (
    NEAR,
    Splitting,
    make_plan,
    reserved,
    write_prepared,
)
from stochconv_jax.data.preparation.summary import summarize
from stochconv_jax.errors import InputError

SHOWN = 6
DESCRIPTION = "Prepares images: one size, splits without leaks, a manifest of them all."


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and does what it says."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    with mistakes_in_a_sentence("; the same command goes on where it stopped"):
        if words[:1] == ["show"] and not {"-h", "--help"} & set(words):
            _show(words)
        else:
            _prepare(make_parser().parse_args(words))


def _prepare(options: argparse.Namespace) -> None:
    start = time.perf_counter()
    framing, splitting = _framing(options), _splitting(options)
    output, dry = pathlib.Path(options.output), options.dry_run or options.tables_only
    if not dry and not options.output:
        raise InputError("--output is missing; name the directory to write, or add --dry-run")
    if output.exists() and not output.is_dir():
        raise InputError(f"--output {output} is a file; name a directory")
    read = _reader(options)
    with tempfile.TemporaryDirectory() if dry else reserved(output) as scratch:
        plan = make_plan(
            read(pathlib.Path(scratch) if scratch else output / "work" / "unpacked"),
            framing,
            splitting,
            options.near_duplicate_distance,
            options.processes,
            None if dry else output,
            options.tables_only,
        )
        classes = order_classes({row.target for row in plan.kept}, options.positive_class)
        if not dry:
            write_prepared(plan, framing, output, options.processes, **_beam(options))
    summary = summarize(plan, classes, splitting, time.perf_counter() - start)
    print(summary)
    if dry:
        print("nothing was written")
        return
    atomic_write(output / "summary.md", summary)
    print(f"{output} is ready; {output / 'manifest.csv'} says what became of every image")


def _reader(options: argparse.Namespace) -> Callable[[pathlib.Path], list[Photograph]]:
    """Reads what lists the images; returns what unpacks into a directory those that have no file.

    So that a mistake in a table is told before anything is written.
    """
    source = pathlib.Path(options.source)
    if options.verb == "cifar":
        return read_cifar(source, options.classes).unpack
    if options.verb == "isic":
        photographs = read_isic(source, options.tables_only)
    elif options.verb == "eyepacs":
        photographs = read_eyepacs(source)
    else:
        photographs = read_folder(
            FolderTable(
                options.source,
                options.table,
                options.image_column,
                options.label_column,
                options.group_column,
                options.split_column,
                tuple(filter(None, options.keep_columns.split(","))),
            )
        )
    return lambda _: photographs


def _framing(options: argparse.Namespace) -> Framing:
    minimum = options.size if options.minimum_size is None else options.minimum_size
    if options.crop_above and not 0 < options.crop_to <= options.crop_above:
        raise InputError(
            f"--crop-to is {options.crop_to}; it must be more than 0 and at most --crop-above "
            f"({options.crop_above})"
        )
    return Framing(options.size, minimum, options.crop_above, options.crop_to)


def _splitting(options: argparse.Namespace) -> Splitting:
    validation, test = options.validation_fraction, options.test_fraction
    if not (validation > 0 and test >= 0 and validation + test < 1):
        raise InputError("--validation-fraction and --test-fraction must leave images to train on")
    if options.folds == 1 or options.folds < 0:
        raise InputError(f"--folds is {options.folds}; use 2 or more, or 0 for none")
    if options.processes < 1:
        raise InputError(f"--processes is {options.processes}; use 1 or more")
    beside_test = options.verb in ("cifar", "eyepacs")
    drawing = Drawing(validation, test, options.folds, options.split_seed, beside_test)
    return Splitting(drawing, options.split)


def _beam(options: argparse.Namespace) -> dict[str, Any]:
    if not options.beam_runner:
        return {}
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise InputError(
            "--beam-runner needs Apache Beam, which is not installed; pip install '.[beam]'"
        ) from error
    flags = [f"--{option}" for option in options.beam_options.split(",") if option]
    return {"beam_runner": options.beam_runner, "beam_options": PipelineOptions(flags=flags)}


def _show(words: list[str]) -> None:
    # They import what training needs, which takes seconds that preparing need not wait for.
    from stochconv_jax.data.load import load_dataset
    from stochconv_jax.data.pipeline.batches import Pipeline
    from stochconv_jax.data.pipeline.contact_sheet import save_pairs

    config, workdir = read_flags(words)
    check_limits(config)
    path = pathlib.Path(workdir) / "pairs.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = load_dataset(config.data)
    if not len(dataset.records):
        raise InputError(f"data.name is {config.data.name!r}, which has no images to show")
    pipeline = Pipeline.from_config(dataset, config.data, high=True)
    save_pairs(path, pipeline, config.seed, SHOWN)
    print(f"{path} shows {SHOWN} images as they are and as training sees them")


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of the verbs that prepare."""
    program = "python -m stochconv_jax.prepare"
    parser = argparse.ArgumentParser(prog=program, description=DESCRIPTION, allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    isic = verbs.add_parser("isic", help="the ISIC challenges of 2016 to 2020", allow_abbrev=False)
    isic.add_argument("--source", required=True, help="directory of the tables and images")
    isic.add_argument(
        "--tables-only", action="store_true", help="what the tables alone say; needs no image"
    )
    _add_framing(isic, minimum=(1000, 1000), crop_above=3048, crop_to=2048)
    folder = verbs.add_parser("folder", help="any directory with a CSV", allow_abbrev=False)
    folder.add_argument("--source", required=True, help="directory of the images")
    folder.add_argument("--table", default="labels.csv", help="CSV, as given or within --source")
    folder.add_argument("--image-column", default="image", help="column of file names")
    folder.add_argument("--label-column", default="target", help="column of classes")
    folder.add_argument("--group-column", default="", help="column of what must stay in one split")
    folder.add_argument(
        "--split-column",
        default="",
        help="column of train, validation or test, or of fold_0, fold_1, ... (or 0, 1, ...) and "
        "test; default: the splits are drawn",
    )
    folder.add_argument(
        "--keep-columns",
        default="",
        help="further columns for the manifest, such as smoker,diameter, for networks",
    )
    _add_framing(folder, minimum=None, crop_above=0, crop_to=0)
    cifar = verbs.add_parser("cifar", help="CIFAR-10 or CIFAR-100, binary", allow_abbrev=False)
    cifar.add_argument("--source", required=True, help="directory of the binary version")
    cifar.add_argument("--classes", type=int, choices=tuple(LAYOUTS), default=10)
    _add_framing(cifar, minimum=(1, 1), crop_above=0, crop_to=0, size=(SIDE, SIDE))
    eyepacs = verbs.add_parser(
        "eyepacs", help="Kaggle's Diabetic Retinopathy Detection", allow_abbrev=False
    )
    eyepacs.add_argument("--source", required=True, help="directory of the tables and images")
    _add_framing(eyepacs, minimum=(1, 1), crop_above=0, crop_to=0)
    for verb in (folder, cifar, eyepacs):
        verb.set_defaults(tables_only=False)
    for verb in (isic, folder, eyepacs):
        _add_common(verb)
    # Small images of one kind look alike to the hash.
    _add_common(cifar, near=-1)
    verbs.add_parser(
        "show",
        help="WORKDIR/pairs.png, augmented images as training sees them",
        usage="python -m stochconv_jax.prepare show --config=FILE:DATA --workdir=WORKDIR "
        "[--config.SECTION.FIELD=VALUE ...]",
    )
    return parser


def _add_framing(
    parser: argparse.ArgumentParser,
    minimum: tuple[int, int] | None,
    crop_above: int,
    crop_to: int,
    size: tuple[int, int] = (1024, 1024),
) -> None:
    said = "--size, so that nothing is enlarged" if minimum is None else str(minimum[0])
    said = f"default: {said}"
    add, large = parser.add_argument, "crop images that are larger on both sides; 0 for none"
    add("--size", type=image_size, default=size, help="SIDE or HEIGHTxWIDTH to resize to")
    add(
        "--minimum-size", type=image_size, default=minimum, help=f"leave out smaller images; {said}"
    )
    add("--crop-above", type=int, default=crop_above, help=f"{large} (%(default)s)")
    add("--crop-to", type=int, default=crop_to, help="side of the square then kept (%(default)s)")


def _add_common(parser: argparse.ArgumentParser, near: int = NEAR) -> None:
    add = parser.add_argument
    add("--output", default="", help="directory to write; not needed for a dry run")
    said = "of two, in the summary; training takes data.positive_class"
    add("--positive-class", default="", help=said)
    add(
        "--near-duplicate-distance",
        type=int,
        default=near,
        help=f"bits of 256 in which images that count as one differ; -1 to look for none ({near})",
    )
    add(
        "--split",
        choices=("group", "image"),
        default="group",
        help="by image leaks, and is there to compare with",
    )
    share = "share of the groups that %s, stratified by class (%%(default)s)"
    add(
        "--validation-fraction",
        type=float,
        default=0.2,
        help=share % "validate where there are no folds",
    )
    add("--test-fraction", type=float, default=0.0, help=share % "test")
    said = "divide the groups that do not test into so many folds; training takes data.fold to "
    add("--folds", type=int, default=0, help=said + "validate; 0 for no folds (%(default)s)")
    add("--split-seed", type=int, default=0, help="of the draw of splits (%(default)s)")
    add("--processes", type=int, default=os.cpu_count() or 1, help="default: one per core")
    add("--dry-run", action="store_true", help="show the summary and write nothing")
    add("--beam-runner", default="", help="run on Apache Beam, such as DirectRunner")
    add("--beam-options", default="", help="for it, such as project=mine,region=europe-west4")
