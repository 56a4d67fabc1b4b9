"""What made a result: versions, data and command."""

import datetime
import importlib.metadata
import platform
import shlex
import sys
from typing import Any

import jax

PACKAGES = ("stochconv_jax", "jax", "flax", "optax", "numpy", "scikit-learn", "grain")


def provenance() -> dict[str, Any]:
    """Returns the command, the time, and the versions and device that it ran on."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"  # run from a checkout
    return {
        "command": shlex.join(["python", *sys.orig_argv[1:]]),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "device": f"{jax.device_count()} {jax.devices()[0].device_kind}",
        "versions": versions,
    }
