"""The paper's networks and a second ordinary branch, five seeds each, on ISIC without its leaks.

    python -m stochconv_jax.study --config=configs/studies/paper.py --workdir=runs/paper
    python -m stochconv_jax.compare runs/paper/* --reference two_ordinary \
        --output=runs/paper/comparison

On images that `python -m stochconv_jax.prepare isic` left in prepared/isic; 60 epochs, 40 runs:
days on several GPUs. The paper's eighth row, the full split with three samples averaged, is the
full split evaluated with several samples, as every stochastic network is here.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs import base
from stochconv_jax.configs.studies.base import TWO_BRANCHES, make_study


def get_config(data: str = "isic") -> ConfigDict:
    """Returns the study on "isic", "prepared", "folder" or "synthetic" data, locked."""
    config = base.get_config(data)
    config.train.batch_size = 100
    config.eval.samples = 16
    # The paper's own figure, the best epoch on validation, is compared beside it.
    config.eval.checkpoint = "latest"
    both = {"branches": TWO_BRANCHES, "placement": "independent"}
    b4 = {"backbone": "efficientnet_b4"}
    larger = {"low_size": (380, 380)}
    models: dict[str, dict] = {
        "b0": {},
        "b0_stem64": {"model": {"stem_features": 64}},
        "stem_b0": {"model": {**both, "join": "stem"}},
        "skip_b0": {"model": {**both, "join": "3"}},
        "two_ordinary": {"model": {"branches": ("global", "global")}},
        "split_b0": {"model": both},
        "b4": {"model": b4, "data": larger},
        "stem_b4": {"model": {**b4, **both, "join": "stem"}, "data": larger},
    }
    return make_study(config, models, seeds=(0, 1, 2, 3, 4))
