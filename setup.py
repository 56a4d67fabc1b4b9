"""The operations in C++: built where there are a compiler and JAX's headers, else left out."""

import importlib.util
import pathlib

from setuptools import Extension, setup

SOURCES = pathlib.Path("stochconv_jax/ops/csrc")

jaxlib = importlib.util.find_spec("jaxlib")
extensions = [
    Extension(
        "stochconv_jax.ops._native",
        sorted(map(str, SOURCES.glob("*.cc"))),
        depends=sorted(map(str, SOURCES.glob("*.h"))),
        include_dirs=[f"{directory}/include" for directory in jaxlib.submodule_search_locations],
        extra_compile_args=["-std=c++17", "-O3", "-g0"],
        optional=True,
    )
    for jaxlib in [jaxlib]
    if jaxlib and jaxlib.submodule_search_locations
]

setup(ext_modules=extensions)
