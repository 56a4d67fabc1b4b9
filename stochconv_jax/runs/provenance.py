"""What made a result: source, versions, data and command."""

import datetime
import importlib.metadata
import os
import pathlib
import platform
import shlex
import subprocess
import sys
from typing import Any

import jax

from stochconv_jax.data.pipeline import native as images
from stochconv_jax.errors import InputError
from stochconv_jax.ops import native as operations
from stochconv_jax.saved_config import read_json

PACKAGES = ("stochconv_jax", "jax", "flax", "optax", "numpy", "scikit-learn", "grain")
# A hook of git's, or a command within one, would speak of another repository by these.
ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
# In a run's directory.
STARTS = "provenance.json"


def provenance() -> dict[str, Any]:
    """Returns the command, the time, what is in C++, the device, the revision and all versions."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"  # run from a checkout
    return {
        "command": _command(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "in_cpp": {"operations": operations.is_built(), "images": images.is_built()},
        "device": f"{jax.device_count()} {jax.devices()[0].device_kind}",
        "revision": source_revision(pathlib.Path(__file__)),
        "versions": versions,
    }


def read_starts(directory: pathlib.Path) -> list[dict[str, Any]]:
    """Returns what `provenance` told of each start of a run, the latest last.

    Raises:
      InputError: the file is missing or damaged.
    """
    starts = read_json(directory / STARTS).get("starts")
    if not starts or not isinstance(starts, list) or not all(isinstance(s, dict) for s in starts):
        raise InputError(f"{directory / STARTS} is damaged (it lists no starts); delete it")
    return starts


def source_revision(file: pathlib.Path) -> str:
    """Returns the git revision of the checkout that tracks `file`, or "unknown".

    Where tracked files have uncommitted changes, it ends in "-dirty". A package that was installed
    within someone's repository is not tracked by it, and its revision is not theirs.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    environment["GIT_OPTIONAL_LOCKS"] = "0"  # only look

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words],
            cwd=file.parent,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", file.name)
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _command() -> str:
    """The command as a user would give it again, without the paths of this machine's programs."""
    program, *words = [*sys.orig_argv[1:], ""]
    if pathlib.Path(program).name == "stochconv":
        return shlex.join(["stochconv", *words[:-1]])
    return shlex.join(["python", *sys.orig_argv[1:]])
