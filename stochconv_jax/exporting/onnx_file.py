"""A program as ONNX, converted by jax2onnx (Apache 2.0)."""

import contextlib
import logging
import warnings
from collections.abc import Iterator

import jax

from stochconv_jax.errors import InputError
from stochconv_jax.exporting.program import Program

FILE = "model.onnx"
OUTPUT = "logits"
INSTALL = 'pip install "stochconv_jax[onnx]" && pip install --no-deps jax2onnx==0.17.1'


def onnx_bytes(program: Program) -> bytes:
    """Returns the program, made with `unrolled`, for any batch.

    Raises:
      InputError: jax2onnx is not installed.
    """
    try:
        with _quiet():
            from jax2onnx import to_onnx
    except ImportError as error:
        raise InputError(f"--format=onnx needs {error.name}; install it: {INSTALL}") from error
    shapes = [jax.ShapeDtypeStruct(("batch", *each.shape), each.dtype) for each in program.inputs]
    names = [each.name for each in program.inputs]
    with _quiet():
        model = to_onnx(
            program.call,
            shapes,
            model_name="stochconv_jax",
            input_names=names,
            output_names=[OUTPUT],
        )
    # Shapes that are noted within describe another layout than the converter leaves.
    del model.graph.value_info[:]
    return model.SerializeToString()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the converter's remarks on its own workings from users."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
