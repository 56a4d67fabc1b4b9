"""The command line of `python -m stochconv_jax.import_weights`."""

import argparse
import json
import pathlib
from collections.abc import Sequence

from stochconv_jax.command_line import mistakes_in_a_sentence
from stochconv_jax.errors import InputError
from stochconv_jax.markdown_table import markdown_table
from stochconv_jax.models.families import BACKBONES
from stochconv_jax.models.weights.assignment import Assignment
from stochconv_jax.models.weights.published import DIRECTORY, PUBLISHED
from stochconv_jax.models.weights.read_file import read_weight_file
from stochconv_jax.models.weights.recognition import recognise
from stochconv_jax.models.weights.safetensors_file import write_safetensors_file
from stochconv_jax.models.weights.weight_file import WeightFile
from stochconv_jax.runs.initial_weights import read_weights

DESCRIPTION = (
    "Shows what a file of weights holds and what would become of it; a name of published weights "
    f"is imported into {DIRECTORY}/."
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line, shows the file and, where asked, writes it as our own."""
    options = _parser().parse_args(arguments)
    with mistakes_in_a_sentence("; nothing was written"):
        if options.backbone and options.backbone not in BACKBONES:
            raise InputError(
                f"--backbone is {options.backbone!r}; use one of {', '.join(BACKBONES)}"
            )
        output = pathlib.Path(options.output) if options.output else None
        if output is not None and output.suffix != ".safetensors":
            raise InputError(f"--output is {output}; it must end in .safetensors")
        file, licence = _read(options.weights)
        name, found = recognise(file._replace(backbone=options.backbone or file.backbone))
        _show(file, name, found)
        if output is None and options.weights in PUBLISHED:
            output = DIRECTORY / f"{options.weights}.safetensors"
        if output is not None:
            about = {
                "backbone": name,
                "pixels": file.pixels,
                "conventions": file.conventions,
                "pixel_mean": json.dumps(file.pixel_mean),
                "pixel_deviation": json.dumps(file.pixel_deviation),
                "source": file.path.name,
                "sha256": file.sha256,
                "licence": licence,
            }
            write_safetensors_file(output, found.arrays, about)
            print(f"\nwritten: {output}; use it with --config.model.backbone={name}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m stochconv_jax.import_weights", description=DESCRIPTION, allow_abbrev=False
    )
    parser.add_argument(
        "weights", help=f"a file, a run's directory, or one of {', '.join(PUBLISHED)}"
    )
    parser.add_argument("--backbone", default="", help="default: what the file is recognised as")
    parser.add_argument("--output", default="", help="a .safetensors file to write")
    return parser


def _read(weights: str) -> tuple[WeightFile, str]:
    """Reads weights, those that a package carries from the package itself."""
    if weights not in PUBLISHED:
        return read_weights(weights), "unknown"
    published = PUBLISHED[weights]
    file = read_weight_file(published.source())
    return file._replace(backbone=published.backbone, pixels=published.pixels), published.licence


def _show(file: WeightFile, name: str, found: Assignment) -> None:
    count = sum(array.size for array in file.arrays.values())
    own = "not said, so the backbone's own"
    print(f"{file.path}: {file.format}, {len(file.arrays)} arrays, {count:,} numbers, of {name}")
    print(f"SHA-256 {file.sha256}")
    print(f"pixels: {file.pixels or own}; padding and epsilon: {file.conventions or own}\n")
    parts: dict[str, list[str]] = {}
    for ours in sorted(found.sources):
        words = ours.split(".")
        parts.setdefault(".".join(words[: 2 if ours.startswith("stage") else 1]), []).append(ours)
    rows = [
        (
            part,
            len(names),
            f"{sum(found.arrays[name].size for name in names):,}",
            found.sources[names[0]],
        )
        for part, names in parts.items()
    ]
    print(markdown_table(("layer", "arrays", "numbers", "the first of them there"), rows))
    for reason in sorted(set(found.passed_over.values())):
        names = [name for name, why in found.passed_over.items() if why == reason]
        print(f"\npassed over, {reason}: {len(names)}, such as {min(names)}")
    print("\nA training loads all but the classifier, which it loads too with")
    print("--config.model.weights_classifier=True.")
