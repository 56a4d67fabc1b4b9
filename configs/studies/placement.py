"""Where should the windows lie? Independent or even placements, trained on synthetic lesions.

    python -m stochconv_jax.study --config=configs/studies/placement.py --workdir=runs/placement
    python -m stochconv_jax.compare runs/placement/* --reference independent_4 \
        --output=runs/placement/comparison

The drawn lesions and the small split network of `quick.py`, with windows that are independent of
one another and with windows that are spread over the image together; the number after the name is
that of the windows for its 16 kernels.
"""

from ml_collections import ConfigDict

from stochconv_jax.configs.studies import quick
from stochconv_jax.configs.studies.base import TWO_BRANCHES, make_study


def get_config() -> ConfigDict:
    """Returns the study, locked."""
    config = quick.get_config().base
    models: dict[str, dict] = {
        f"{placement}_{windows}": {
            "model": {"branches": TWO_BRANCHES, "windows": windows, "placement": placement}
        }
        for placement in ("independent", "even")
        for windows in (4, 16)
    }
    return make_study(config, models, seeds=(0, 1, 2))
