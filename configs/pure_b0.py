"""B0 that sees random windows of the large image and nothing else.

    python train.py --config=configs/pure_b0.py --workdir=runs/pure_b0

A control; the paper has no figure for it.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base


def get_config(data: str = "synthetic") -> ConfigDict:
    """Returns the config for "synthetic" or "folder" data, locked."""
    config = base.get_config(data)
    config.model.branches = ("stochastic",)
    config.model.placement = "independent"
    return config.lock()
