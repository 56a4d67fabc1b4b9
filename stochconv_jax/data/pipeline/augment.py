"""The augmentations of a config: what is done to each image of training, in order."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from stochconv_jax.data.pipeline.color import ColorShift, HsvShift
from stochconv_jax.data.pipeline.corruption import Blur, Cutout, Noise
from stochconv_jax.data.pipeline.randaugment import RandAugment
from stochconv_jax.data.pipeline.warp import (
    Crop,
    Flips,
    Geometry,
    Place,
    Rotation,
    Scale,
    Shift,
    Warp,
)

# From uint8 [H, W, 3] to the same; the same state of the generator gives the same image.
Transform = Callable[[np.ndarray, np.random.Generator], np.ndarray]

_LINEAR_COLOR = ("brightness", "contrast", "saturation", "hue", "fancy_pca")


@dataclasses.dataclass(frozen=True)
class Sometimes:
    """Does all of some parts, of a warp or of a pipeline, with a probability; else nothing."""

    probability: float
    parts: tuple[Callable[..., Any], ...]

    def __call__(self, value: np.ndarray, *context: Any) -> np.ndarray:
        """Changes an image or a view, by the generator that comes last in the context."""
        if context[-1].random() < self.probability:
            for part in self.parts:
                value = part(value, *context)
        return value


def transforms_from_config(
    augment: ConfigDict, crop_size: tuple[int, int] = (0, 0)
) -> tuple[Transform, ...]:
    """Returns those of a config's `data.augment` section that change anything.

    Steps of geometry that follow each other are one interpolation.

    Args:
      augment: the section.
      crop_size: `data.crop_size`, the middle that is left of every image.
    """
    transforms: list[Transform] = []
    geometry: list[Geometry] = []
    for probability, *names in augment.order:
        always = probability == 1
        parts, changes = _geometry(augment, crop_size, names), _changes(augment, names)
        geometry += parts if always or not parts else [Sometimes(probability, tuple(parts))]
        if changes and geometry:
            if always and isinstance(changes[0], RandAugment):
                changes[0] = dataclasses.replace(changes[0], geometry=tuple(geometry))
            else:
                transforms.append(Warp(tuple(geometry)))
            geometry = []
        transforms += changes if always or not changes else [Sometimes(probability, tuple(changes))]
    if geometry:
        transforms.append(Warp(tuple(geometry)))
    return tuple(transforms)


def _geometry(
    augment: ConfigDict, crop_size: tuple[int, int], names: Sequence[str]
) -> list[Geometry]:
    """Returns the parts of a step's view."""
    crop = Crop(tuple(augment.crop_area), tuple(augment.crop_aspect))
    crops: list[Geometry] = [crop] if crop != Crop((1.0, 1.0), (1.0, 1.0)) else []
    if any(crop_size):
        crops.append(Place(crop_size))
    parts: dict[str, list[Geometry]] = {
        "crop": crops,
        "shift": [Shift(augment.shift)] if augment.shift else [],
        "scale": [Scale(augment.scale)] if augment.scale else [],
        "rotation": [Rotation(augment.rotation)] if augment.rotation else [],
        "flips": [Flips()] if augment.flips else [],
    }
    return [part for name in names for part in parts.get(name, [])]


def _changes(augment: ConfigDict, names: Sequence[str]) -> list[Transform]:
    """Returns what a step does to the pixels."""
    linear = {name: augment[name] for name in _LINEAR_COLOR if name in names}
    rand = (
        augment.randaugment_operations,
        augment.randaugment_magnitude,
        augment.randaugment_weights,
    )
    hsv = tuple(augment.hsv_shift)
    changes: dict[str, list[Transform]] = {
        "randaugment": [RandAugment(*rand)] if augment.randaugment_operations else [],
        "hsv_shift": [HsvShift(hsv)] if any(hsv) else [],
        "blur": [Blur(augment.blur)] if augment.blur else [],
        "noise": [Noise(augment.noise, augment.noise_least)] if augment.noise else [],
        "cutout": [Cutout(augment.cutout)] if augment.cutout else [],
    }
    shift = ColorShift(**linear, fancy_pca_axes=augment.fancy_pca_axes)
    first: list[Transform] = [shift] if any(linear.values()) else []
    return first + [change for name in names for change in changes.get(name, [])]
