"""What a step does beside following the gradient."""

from typing import NamedTuple

from ml_collections import ConfigDict

from stochconv_jax.training.parts import PartRates


class Recipe(NamedTuple):
    """How a step trains.

    Attributes:
      rates: which parts learn; how fast, the optimizer says.
      label_smoothing: share of the label that is divided among the classes.
      class_weights: of each class in the loss; () for none.
      average_decay: of the average of the weights; 0 for none.
      freeze_batch_norm: normalise by the running statistics and leave them as they are.
      accumulate: steps that make one update, of which alone the average takes note.
    """

    rates: PartRates = PartRates()
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] = ()
    average_decay: float = 0.0
    freeze_batch_norm: bool = False
    accumulate: int = 1

    @classmethod
    def from_config(cls, config: ConfigDict) -> "Recipe":
        """Reads the `train` section."""
        return cls(
            PartRates.from_config(config),
            config.label_smoothing,
            tuple(config.class_weights),
            config.average_decay,
            config.freeze_batch_norm,
            config.accumulate,
        )


PLAIN = Recipe()
