"""The command line of `python -m stochconv_jax.explain`."""

import argparse
import io
import pathlib
import sys
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from stochconv_jax.atomic_write import atomic_write
from stochconv_jax.command_line import mistakes_in_a_sentence, output_file
from stochconv_jax.data.image_file import find_images
from stochconv_jax.errors import InputError
from stochconv_jax.explanations.explainer import Explainer
from stochconv_jax.explanations.maps import METHODS
from stochconv_jax.explanations.page import ExplanationPage
from stochconv_jax.prediction.predictor import PhotographPrediction, Predictor, load_run
from stochconv_jax.prediction.table import read_metadata_table, rows_of

DESCRIPTION = (
    "Says why a network says what it says of photographs: a page of maps, and the maps as NumPy "
    "arrays beside it."
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and writes the page and the maps."""
    options = _parser().parse_args(arguments)
    with mistakes_in_a_sentence("; nothing was written"):
        output = output_file(options.output, ".html", "a page")
        if options.draws < 0:
            raise InputError(f"--draws is {options.draws}; it must be 1 or more")
        predictor = load_run(options.run, checkpoint=options.checkpoint, draws=options.draws)
        explainer = Explainer.of_run(predictor.network, options.methods)
        target = _target(options.explained_class, predictor)
        found = _predictions(options, predictor)
        page, arrays = _explain(explainer, found, target)
        if not page.shown:
            raise InputError(f"none of the {len(found)} files could be used: {found[0].problem}")
        kept = io.BytesIO()
        np.savez_compressed(kept, allow_pickle=False, **arrays)
        atomic_write(output.with_suffix(".npz"), kept.getvalue())
        atomic_write(output, page.render())
    for each in page.failed:
        print(f"not explained: {each.name}: {each.problem}", file=sys.stderr)
    print(f"{len(page.shown)} of {len(found)} images are explained in {output}")
    print(f"maps: {output.with_suffix('.npz')}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m stochconv_jax.explain", description=DESCRIPTION, allow_abbrev=False
    )
    parser.add_argument("run", help="directory of a trained run")
    parser.add_argument("images", nargs="+", help="image files, or directories of them")
    parser.add_argument(
        "--methods",
        nargs="+",
        default=(),
        metavar="METHOD",
        help=f"of {', '.join(METHODS)}; default: all that the network can be asked for",
    )
    parser.add_argument(
        "--class",
        dest="explained_class",
        default="",
        help="that is explained; default: the one that was decided for",
    )
    parser.add_argument(
        "--table", default="", help="CSV of what a network with a metadata branch is given"
    )
    parser.add_argument(
        "--image-column", default="", help="its column of file names; default: as the run's config"
    )
    parser.add_argument("--output", default="explanations.html", help="page (%(default)s)")
    parser.add_argument(
        "--checkpoint", default="", choices=("best", "latest"), help="default: as the run's config"
    )
    parser.add_argument("--draws", type=int, default=0, help="of windows; default: the run's")
    return parser


def _target(name: str, predictor: Predictor) -> int | None:
    """The index of a class; None for the one that is decided for."""
    if name and name not in predictor.classes:
        raise InputError(f"there is no class {name!r}; use one of {', '.join(predictor.classes)}")
    return predictor.classes.index(name) if name else None


def _predictions(
    options: argparse.Namespace, predictor: Predictor
) -> Sequence[PhotographPrediction]:
    named = [pathlib.Path(name) for name in options.images]
    files = find_images(named)
    rows = None
    if options.table:
        column = options.image_column or predictor.network.run.config.data.image_column
        rows = rows_of(read_metadata_table(pathlib.Path(options.table), column), files, named)
    each = predictor.predict_each(files, rows)
    return list(tqdm(each, "predicting", len(files), unit="image", leave=False))


def _explain(
    explainer: Explainer, found: Sequence[PhotographPrediction], target: int | None
) -> tuple[ExplanationPage, dict[str, np.ndarray]]:
    """Returns the page, and the arrays METHOD/MAP [images, ...] with the images' names."""
    page = ExplanationPage(explainer)
    page.failed += [each for each in found if each.problem]
    usable = [each for each in found if not each.problem]
    classes = explainer.network.run.classes
    targets = [classes.index(each.decision) if target is None else target for each in usable]
    photographs = [each.photograph for each in usable if each.photograph]
    maps = []
    bar = tqdm(total=len(usable), desc="explaining", unit="image", leave=False)
    for each, chosen, own in zip(
        usable, targets, explainer.explain(photographs, targets), strict=True
    ):
        page.add(each, chosen, own)
        maps.append(own)
        bar.update()
    bar.close()
    arrays = {"images": np.array([each.name for each in usable])}
    for name in explainer.methods if maps else ():
        for kind in maps[0][name]:
            arrays[f"{name}/{kind}"] = np.stack([each[name][kind] for each in maps])
    return page, arrays
