"""The augmentations of a config: what is done to each image of training, in order."""

from collections.abc import Callable

import numpy as np
from ml_collections import ConfigDict

from stochconv_jax.data.pipeline.color import ColorShift
from stochconv_jax.data.pipeline.corruption import Blur, Cutout, Noise
from stochconv_jax.data.pipeline.warp import Crop, Flips, Geometry, Rotation, Warp

# From uint8 [H, W, 3] to the same; the same state of the generator gives the same image.
Transform = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def transforms_from_config(augment: ConfigDict) -> tuple[Transform, ...]:
    """Returns those of a config's `data.augment` section that change anything."""
    transforms: list[Transform] = []
    geometry: list[Geometry] = []
    crop = Crop(tuple(augment.crop_area), tuple(augment.crop_aspect))
    if crop != Crop((1.0, 1.0), (1.0, 1.0)):
        geometry.append(crop)
    if augment.rotation:
        geometry.append(Rotation(augment.rotation))
    if augment.flips:
        geometry.append(Flips())
    if geometry:
        transforms.append(Warp(tuple(geometry)))
    color = ColorShift(
        augment.brightness, augment.contrast, augment.saturation, augment.hue, augment.fancy_pca
    )
    if color != ColorShift():
        transforms.append(color)
    if augment.blur:
        transforms.append(Blur(augment.blur))
    if augment.noise:
        transforms.append(Noise(augment.noise))
    if augment.cutout:
        transforms.append(Cutout(augment.cutout))
    return tuple(transforms)
