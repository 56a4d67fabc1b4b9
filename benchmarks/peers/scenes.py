"""Large black images with five digits, three of them of one class, and strokes that mislead.

Source of the rules: Katharopoulos and Fleuret 2019, and `scripts/make_mnist.py` of its repository
idiap/attention-sampling.
"""

import dataclasses

import cv2
import numpy as np

from benchmarks.peers.digits import Digits
from stochconv_jax.data.pipeline.batches import Batch
from stochconv_jax.data.pipeline.shrink import shrink
from stochconv_jax.errors import InputError

DIGITS = 5
OF_ONE_CLASS = 3
PATTERNS = 50
# Degrees off the vertical, and the share of the second lines that are mirrored.
STEEPEST = 72
MIRRORED = 1 / 3


@dataclasses.dataclass(frozen=True)
class Scenes:
    """What lies where in N images, which are drawn when they are asked for.

    Attributes:
      digits: to choose from.
      canvas: side of the images in pixels.
      patterns: uint8 [P, side, side], of the strokes.
      chosen: int [N, 5], places in `digits`; the first three are of the image's class.
      corners: int [N, 5, 2], (row, column) of the digits' top left pixels; none overlap.
      strokes: int [N, S], places in `patterns`.
      stroke_corners: int [N, S, 2].
    """

    digits: Digits
    canvas: int
    patterns: np.ndarray
    chosen: np.ndarray
    corners: np.ndarray
    strokes: np.ndarray
    stroke_corners: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """The class of which each image has three digits, int [N]."""
        return self.digits.labels[self.chosen[:, 0]]

    def image(self, index: int) -> np.ndarray:
        """Draws an image, uint8 [canvas, canvas]: the strokes, and the digits over them."""
        image = np.zeros((self.canvas, self.canvas), np.uint8)
        side = self.patterns.shape[1]
        for pattern, (row, column) in zip(
            self.strokes[index], self.stroke_corners[index], strict=True
        ):
            image[row : row + side, column : column + side] = self.patterns[pattern]
        for digit, (row, column) in zip(self.chosen[index], self.corners[index], strict=True):
            image[row : row + side, column : column + side] = self.digits.images[digit]
        return image

    def batch(self, indices: np.ndarray, low: int) -> Batch:
        """Returns what networks look at, the small images `low` pixels wide and high."""
        images = [self.image(index) for index in indices]
        small = [image if low == self.canvas else shrink(image, (low, low)) for image in images]
        return {
            "image_low": np.stack(small)[..., None],
            "image_high": np.stack(images)[..., None],
            "label": self.labels[indices].astype(np.int32),
            "index": np.asarray(indices, np.int32),
        }


def make_scenes(digits: Digits, count: int, canvas: int, strokes: int, seed: int) -> Scenes:
    """Lays out images: a class, three digits of it and two of others, all anywhere.

    Raises:
      InputError: the images are too small for five digits and their strokes.
    """
    side = digits.images.shape[1]
    if canvas < 5 * side:
        raise InputError(f"a canvas of {canvas} is too small; use at least {5 * side} pixels")
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, count)
    chosen = np.stack([_choose(digits.labels, label, rng) for label in labels])
    corners = np.stack([_apart(canvas - side + 1, side, rng) for _ in range(count)])
    patterns = np.stack([_pattern(side, rng) for _ in range(PATTERNS)])
    which = rng.integers(0, PATTERNS, (count, strokes))
    # A digit's side away from the edges, as published.
    where = rng.integers(side, canvas - 2 * side + 1, (count, strokes, 2))
    return Scenes(digits, canvas, patterns, chosen, corners, which, where)


def _choose(labels: np.ndarray, label: int, rng: np.random.Generator) -> np.ndarray:
    same, others = np.flatnonzero(labels == label), np.flatnonzero(labels != label)
    return np.concatenate(
        [rng.choice(same, OF_ONE_CLASS), rng.choice(others, DIGITS - OF_ONE_CLASS)]
    )


def _apart(places: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """Draws corners one after the other, each again until it overlaps none before it."""
    corners = np.zeros((0, 2), int)
    while len(corners) < DIGITS:
        corner = rng.integers(0, places, (1, 2))
        if (np.abs(corners - corner).max(axis=1, initial=0) >= side).all():
            corners = np.concatenate([corners, corner])
    return corners


def _pattern(side: int, rng: np.random.Generator) -> np.ndarray:
    """Draws two straight lines from a corner, one pixel wide, of 80% to 100% of white."""
    lines = np.zeros((2, side, side), np.uint8)
    for line, angle in zip(lines, np.radians(rng.uniform(0, STEEPEST, 2)), strict=True):
        end = np.array([np.sin(angle), np.cos(angle)]) / max(np.sin(angle), np.cos(angle))
        cv2.line(line, (0, 0), tuple(np.round(end * (side - 1)).astype(int).tolist()), 1)
    second = lines[1, :, ::-1] if rng.random() < MIRRORED else lines[1]
    brightness = rng.uniform(0.8, 1.0, (side, side)) * 255
    return np.round((lines[0] | second) * brightness).astype(np.uint8)
