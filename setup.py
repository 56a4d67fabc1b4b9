"""The operations in C++: built where there are a compiler and JAX's headers, else left out."""

import importlib.util
import pathlib

from setuptools import Extension, setup

OPS = pathlib.Path("stochconv_jax/ops/csrc")
PIPELINE = pathlib.Path("stochconv_jax/data/pipeline/csrc")


def library(name: str, sources: pathlib.Path, include: list[str], *flags: str) -> Extension:
    """Returns a library of the sources in a directory, which is left out where it is not built."""
    return Extension(
        name,
        sorted(map(str, sources.glob("*.cc"))),
        depends=sorted(map(str, (*sources.glob("*.h"), *OPS.glob("*.h")))),
        include_dirs=include,
        extra_compile_args=["-std=c++17", "-O3", "-g0", *flags],
        optional=True,
    )


# Products and sums that were fused would round otherwise than OpenCV's.
extensions = [
    library("stochconv_jax.data.pipeline._native", PIPELINE, [str(OPS)], "-ffp-contract=off")
]
jaxlib = importlib.util.find_spec("jaxlib")
if jaxlib and jaxlib.submodule_search_locations:
    headers = [f"{directory}/include" for directory in jaxlib.submodule_search_locations]
    extensions.append(library("stochconv_jax.ops._native", OPS, headers))

setup(ext_modules=extensions)
