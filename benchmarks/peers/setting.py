"""How large the task and the networks are."""

import dataclasses

from stochconv_jax.errors import InputError

# Of the published small images: 180 pixels of 1500, of digits 28 pixels wide.
LOW_SHARE = 0.12
PUBLISHED_DIGIT = 28


@dataclasses.dataclass(frozen=True)
class Setting:
    """The published task by default; see `QUICK` for what a workstation without a GPU affords.

    Attributes:
      canvas: side of the images in pixels, a multiple of `patch`.
      digit: side of a digit in pixels.
      strokes: that mislead, in each image.
      train: images to train with.
      test: images to test with.
      epochs: passes over the training images.
      batch: images a step.
      patch: side of a patch or window in pixels.
      patches: that attention sampling and the two-branch networks look at.
      memory: patches that patch selection keeps.
      iteration: patches that it looks at between two selections.
      widths: channels of the residual networks' stages; patch selection takes the last two.
      blocks: in each of their stages.
    """

    canvas: int = 1500
    digit: int = PUBLISHED_DIGIT
    strokes: int = 50
    train: int = 5000
    test: int = 1000
    epochs: int = 150
    batch: int = 16
    patch: int = 50
    patches: int = 10
    memory: int = 100
    iteration: int = 100
    widths: tuple[int, ...] = (32, 64, 128)
    blocks: int = 2

    def __post_init__(self) -> None:
        if self.canvas % self.patch:
            raise InputError(
                f"a canvas of {self.canvas} is no multiple of {self.patch}, the side of a patch"
            )

    @property
    def low(self) -> int:
        """Side of the small images: as coarse as published, a digit being 3.4 pixels wide."""
        return round(self.canvas * LOW_SHARE * PUBLISHED_DIGIT / self.digit)

    @property
    def small(self) -> bool:
        """Whether the residual networks begin with a stem for small digits."""
        return self.digit < PUBLISHED_DIGIT

    @property
    def steps(self) -> int:
        """Steps of training; what an epoch leaves over of a batch is left out."""
        return self.epochs * (self.train // self.batch)


PUBLISHED = Setting()
# Digits as scikit-learn ships them, 8 pixels wide, and everything else in proportion.
QUICK = Setting(
    canvas=56,
    digit=8,
    strokes=2,
    train=2000,
    epochs=16,
    patch=14,
    patches=4,
    memory=4,
    iteration=6,
    widths=(8, 16, 32),
    blocks=1,
)
