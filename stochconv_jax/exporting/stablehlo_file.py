"""A program as StableHLO, as `jax.export` serialises it."""

import jax
from jax import export

from stochconv_jax.exporting.program import Program
from stochconv_jax.ops.native import xla_alone

FILE = "model.stablehlo"
PLATFORMS = ("cpu", "cuda")


def stablehlo_bytes(program: Program) -> bytes:
    """Returns the program for any batch, for CPU and CUDA alike, whatever machine this is.

    `jax.export.deserialize(content).call(*inputs)` runs it, with JAX alone. JAX promises that what
    it serialises can be read for at least six months by later versions (docs.jax.dev, "Exporting
    and serializing").
    """
    (batch,) = export.symbolic_shape("batch")
    shapes = [jax.ShapeDtypeStruct((batch, *each.shape), each.dtype) for each in program.inputs]
    with xla_alone():
        exported = export.export(jax.jit(program.call), platforms=PLATFORMS)(*shapes)
    return bytes(exported.serialize())
