"""What every study has: a config, the models as differences from it, seeds and folds."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

Fields = Mapping[str, Mapping[str, Any]]

TWO_BRANCHES = ("global", "stochastic")


def make_study(
    config: ConfigDict, models: Mapping[str, Fields], seeds: tuple[int, ...], folds: int = 0
) -> ConfigDict:
    """Returns a study, locked: every model is trained with every seed, on every fold.

    Args:
      config: a whole config; `--config.base.SECTION.FIELD=VALUE` changes it for all.
      models: the fields in which each model differs from it.
      seeds: of parameters, order, augmentation, dropout and windows.
      folds: that the images were prepared in, each validating once; 0 for none.
    """
    study = ConfigDict()
    study.base = config
    study.models = ConfigDict({name: dict(fields) for name, fields in models.items()})
    study.seeds = seeds
    study.folds = folds
    return study.lock()
