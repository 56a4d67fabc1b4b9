"""The command line of `stochconv export`."""

import argparse
import dataclasses
import json
import pathlib
import shutil
from collections.abc import Sequence

from stochconv_jax.atomic_write import new_directory
from stochconv_jax.command_line import mistakes_in_a_sentence
from stochconv_jax.errors import InputError
from stochconv_jax.exporting import onnx_file, stablehlo_file
from stochconv_jax.exporting.description import describe
from stochconv_jax.exporting.model_card import model_card
from stochconv_jax.exporting.onnx_file import onnx_bytes
from stochconv_jax.exporting.program import Windows, make_program
from stochconv_jax.exporting.stablehlo_file import stablehlo_bytes
from stochconv_jax.exporting.weights_file import write_weights
from stochconv_jax.inference.exported_network import CONFIG, WEIGHTS, is_exported
from stochconv_jax.prediction.predictor import Predictor, load_run

DESCRIPTION = (
    "Exports a run's network for elsewhere: as a program that needs neither this package nor the "
    "data, StableHLO or ONNX, or as weights with their config; each with a model card."
)
FILES = {
    "stablehlo": stablehlo_file.FILE,
    "onnx": onnx_file.FILE,
    "safetensors": WEIGHTS,
}
# What runs a program elsewhere, by the name that it has there.
STANDALONE = pathlib.Path(__file__).with_name("standalone.py")
PREDICT = "predict.py"


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and writes the directory."""
    options = _parser().parse_args(arguments)
    with mistakes_in_a_sentence("; nothing was written"):
        output = _output(options.output)
        windows = _windows(options)
        predictor = load_run(options.run, checkpoint=options.checkpoint, draws=options.draws)
        if options.format == "onnx":
            predictor = _in_float32(predictor)  # other runtimes' CPUs know no bfloat16
        with new_directory(output) as part:
            _write(part, predictor, options, windows)
    file = output / FILES[options.format]
    print(f"{file}: {file.stat().st_size / 1e6:.1f} MB, with {CONFIG} and a model card, README.md")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "stochconv export", description=DESCRIPTION, allow_abbrev=False
    )
    parser.add_argument("run", help="directory of a trained run")
    parser.add_argument("--format", required=True, choices=FILES, help="what to write")
    parser.add_argument("--output", required=True, help="directory to make")
    parser.add_argument(
        "--windows",
        default="",
        choices=("inside", "given"),
        help="drawn inside the program (StableHLO's default), or their corners given from outside",
    )
    parser.add_argument(
        "--draws", type=int, default=0, help="of windows, averaged per image; default: the run's"
    )
    parser.add_argument(
        "--checkpoint", default="", choices=("best", "latest"), help="default: as the run's config"
    )
    parser.add_argument(
        "--license", default="", help="for the model card, such as apache-2.0; none where left out"
    )
    return parser


def _output(name: str) -> pathlib.Path:
    """The directory to make.

    Raises:
      InputError: there is something in its place.
    """
    output = pathlib.Path(name).absolute()
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise InputError(f"--output {name} is there already; name a new directory")
    if not output.parent.is_dir():
        raise InputError(f"--output {name} lies in no directory; make {output.parent} first")
    return output


def _windows(options: argparse.Namespace) -> Windows:
    """Where windows come from, after the options that do not go together are refused."""
    if options.draws < 0:
        raise InputError(f"--draws is {options.draws}; it must be 1 or more")
    if is_exported(pathlib.Path(options.run)):
        raise InputError(f"{options.run} is exported already; name the directory of its run")
    if options.windows and options.format == "safetensors":
        raise InputError("weights draw no windows; leave --windows out")
    if options.windows == "inside" and options.format == "onnx":
        raise InputError("ONNX cannot draw the run's windows; leave --windows=inside out")
    return options.windows or ("given" if options.format == "onnx" else "inside")


def _in_float32(predictor: Predictor) -> Predictor:
    network = predictor.network
    config = network.run.config.copy_and_resolve_references().unlock()
    config.model.compute_dtype = "float32"
    run = dataclasses.replace(network.run, config=config.lock())
    return dataclasses.replace(predictor, network=dataclasses.replace(network, run=run))


def _write(
    directory: pathlib.Path, predictor: Predictor, options: argparse.Namespace, windows: Windows
) -> None:
    program = make_program(predictor.network, windows, unrolled=options.format == "onnx")
    file = FILES[options.format]
    if options.format == "safetensors":
        write_weights(directory, predictor.network)
    else:
        write = onnx_bytes if options.format == "onnx" else stablehlo_bytes
        (directory / file).write_bytes(write(program))
        shutil.copyfile(STANDALONE, directory / PREDICT)
    content = describe(predictor, program, file)
    card = model_card(predictor, content, pathlib.Path(options.output).name, options.license)
    (directory / "README.md").write_text(card, encoding="utf-8")
    (directory / CONFIG).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
