"""When training is over: after its epochs, or earlier where validation gains nothing more."""

import math
from collections.abc import Mapping, Sequence

from ml_collections import ConfigDict


def is_finished(rows: Sequence[Mapping[str, float]], config: ConfigDict) -> bool:
    """Returns whether a run with these rows of metrics has nothing left to train.

    Args:
      rows: of its epochs, with `val_auc` and `val_loss`.
      config: its `train` section; `patience` epochs one after the other without a gain end it.
    """
    waited = config.patience and epochs_without_gain(rows) >= config.patience
    return len(rows) >= config.epochs or bool(waited)


def epochs_without_gain(rows: Sequence[Mapping[str, float]]) -> int:
    """Returns how many epochs ended after the last with a higher AUC or a lower loss than before.

    An AUC of NaN gains nothing. Source: Mashhadi 2023, section 3.3.3, which stops where both
    "dropped or stayed the same in back-to-back performance updates".
    """
    best_auc, best_loss, waited = -math.inf, math.inf, 0
    for row in rows:
        gained = row["val_auc"] > best_auc or row["val_loss"] < best_loss
        waited = 0 if gained else waited + 1
        if gained:
            best_auc = max(best_auc, row["val_auc"])
            best_loss = min(best_loss, row["val_loss"])
    return waited
