"""The command line of `stochconv demo`."""

import argparse
import importlib.util
import math
import os
import pathlib
import re
import signal
import threading
import time
from collections.abc import Sequence

from stochconv_jax.command_line import mistakes_in_a_sentence
from stochconv_jax.data.image_file import find_images
from stochconv_jax.demonstration.network import QUICK_METHODS, DemoNetwork
from stochconv_jax.demonstration.port import check_port
from stochconv_jax.demonstration.rendering import render_example
from stochconv_jax.demonstration.upload_directory import upload_directory
from stochconv_jax.demonstration.uploaded_image import UploadLimits
from stochconv_jax.errors import InputError
from stochconv_jax.explanations.maps import METHODS
from stochconv_jax.feedback.store import FeedbackStore
from stochconv_jax.runs.compilation_cache import keep_compiled

DESCRIPTION = (
    "Serves a page on which people ask trained networks about an image, look at why, and flag "
    "answers that are wrong. It is no medical device."
)
MOST_EXAMPLES = 24


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and serves the page until Ctrl-C."""
    options = _parser().parse_args(arguments)
    with mistakes_in_a_sentence("; flags that were kept stay"):
        if importlib.util.find_spec("gradio") is None:
            raise InputError("gradio is not installed; pip install 'stochconv_jax[demo]'")
        _check(options)
        examples = _examples(options.examples) if options.examples else []
        store = FeedbackStore(options.flags, create=True)
        keep_compiled()  # a second start takes seconds
        networks = load_networks(options.runs, options.defer, options.methods)
        limits = UploadLimits(options.megabytes, options.megapixels)
        # Whoever stops a service sends SIGTERM, which otherwise would leave uploads on the disk.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with upload_directory():
            # Gradio reads where uploads go as it is imported.
            from stochconv_jax.demonstration.page import DemoPage
            from stochconv_jax.demonstration.server import serve

            page = DemoPage(networks, store, limits, examples)
            names = options.server_names
            with serve(page, options.host, options.port, options.rate, names) as address:
                print(f"the page is at {address}; flags go to {store.path}; Ctrl-C ends it")
                threading.Event().wait()


def load_networks(
    runs: Sequence[str | os.PathLike[str]], share: float, methods: Sequence[str] = ()
) -> list[DemoNetwork]:
    """Loads runs and asks each once for everything, so that nobody waits for a compilation.

    Raises:
      InputError: one cannot be used, or two cannot stand on one page.
    """
    names = [pathlib.Path(run).resolve().name for run in runs]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two runs are called {name}; rename a directory")
    networks: list[DemoNetwork] = []
    for run in runs:
        started = time.monotonic()
        print(f"loading and compiling {run} ...", flush=True)
        network = DemoNetwork.load(pathlib.Path(run), share, methods)
        if networks and network.run.metadata != networks[0].run.metadata:
            raise InputError(
                f"{run} is told other columns of an image than {runs[0]}; start a demo for each"
            )
        network.warm_up()
        print(f"{network.name} is ready after {time.monotonic() - started:.0f} seconds", flush=True)
        networks.append(network)
    return networks


def _examples(directory: str) -> list[pathlib.Path]:
    """Looks at examples early: compiling takes minutes."""
    if not pathlib.Path(directory).is_dir():
        raise InputError(f"--examples {directory} is no directory; name one that holds images")
    paths = find_images([pathlib.Path(directory)])[:MOST_EXAMPLES]
    for path in paths:
        render_example(path)
    return paths


def _check(options: argparse.Namespace) -> None:
    for name in ("megabytes", "megapixels", "rate"):
        value = getattr(options, name)
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"--{name} is {value}; it must be a number and more than 0")
    if not 0 <= options.defer <= 1:
        raise InputError(f"--defer is {options.defer}; it must lie from 0 to 1")
    if not 0 < options.port < 65536:
        raise InputError(f"--port is {options.port}; it must lie from 1 to 65535")
    for name in options.server_names:
        if not re.fullmatch(r"[\w.-]+|\[[\da-fA-F:.]+\]", name):
            raise InputError(
                f"--server-names {name} is no name of a host; leave out https://, the port and "
                "what follows"
            )
    check_port(options.host, options.port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("stochconv demo", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="directory of a trained run")
    parser.add_argument(
        "--flags", default="feedback.sqlite", help="file that flags are kept in (%(default)s)"
    )
    parser.add_argument("--examples", default="", help="directory of images to offer as examples")
    parser.add_argument(
        "--methods",
        nargs="+",
        default=(),
        metavar="METHOD",
        help=f"of explanation, of {', '.join(METHODS)}; default: those of "
        f"{', '.join(QUICK_METHODS)} that the network can be asked for",
    )
    parser.add_argument(
        "--defer",
        type=float,
        default=0.2,
        metavar="SHARE",
        help="of the run's validation images that would be shown to a person (%(default)s)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=7860, help="(%(default)s)")
    parser.add_argument(
        "--server-names",
        nargs="+",
        default=(),
        metavar="NAME",
        help="that browsers reach the page by, a proxy's for one, beside localhost and --host",
    )
    parser.add_argument(
        "--megabytes", type=float, default=20, help="of a file at most (%(default)s)"
    )
    parser.add_argument(
        "--megapixels", type=float, default=50, help="of an image at most (%(default)s)"
    )
    parser.add_argument(
        "--rate", type=int, default=60, help="requests of a client in a minute (%(default)s)"
    )
    return parser
