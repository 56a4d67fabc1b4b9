"""The small image within a program: what `data.pipeline.shrink` does on the host."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from stochconv_jax.errors import InputError


def small_images(images: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Shrinks images, each pixel the mean of its area, to whole grey levels.

    In OpenCV's own steps and order of sums, since means that lie in the middle of two levels are
    frequent: operation by operation what the host makes, to the bit. A compiler that fuses products
    and sums, as XLA does, may round such a mean to the other level.

    Args:
      images: uint8 [B, H, W, 3].
      size: (height, width), at most (H, W).

    Returns:
      float32 [B, height, width, 3], whole numbers of 0 to 255.

    Raises:
      InputError: the size is the larger one.
    """
    (height, width), (down, across) = images.shape[1:3], size
    if down > height or across > width:
        raise InputError(
            f"the small image, {down}x{across}, is larger than the framed photograph, "
            f"{height}x{width}; such a network cannot be exported"
        )
    pixels = images.astype(jnp.float32)
    while height >= 4 * down and width >= 4 * across and not (height % 2 or width % 2):
        height, width = height // 2, width // 2
        pixels = _halved(pixels)
    if (height, width) == (down, across):
        return pixels
    if (height, width) == (2 * down, 2 * across):
        return _halved(pixels)
    if height % down == 0 and width % across == 0:
        rows, columns = height // down, width // across
        sums = pixels.reshape(images.shape[0], down, rows, across, columns, 3).sum(axis=(2, 4))
        return jnp.round(sums * np.float32(1 / (rows * columns)))
    return jnp.round(_means(_means(pixels, 2, across), 1, down))


def _halved(pixels: jax.Array) -> jax.Array:
    """The mean of two by two pixels, a half rounded up."""
    pairs = pixels[:, 0::2] + pixels[:, 1::2]
    return jnp.floor((pairs[:, :, 0::2] + pairs[:, :, 1::2] + 2) / 4)


def _means(pixels: jax.Array, axis: int, count: int) -> jax.Array:
    """Means of `count` equal lengths along an axis, summed from the first pixel to the last."""
    places, weights = _taps(pixels.shape[axis], count)
    shape = [1] * pixels.ndim
    shape[axis] = count
    total = jnp.zeros((), jnp.float32)
    for place, weight in zip(places, weights, strict=True):
        total = total + jnp.take(pixels, place, axis=axis) * weight.reshape(shape)
    return total


def _taps(length: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixels that each of `count` areas covers, in order: int32 and float32 [taps, count].

    Weights sum to 1 over the taps; taps that an area does not need have the weight 0.
    """
    scale = length / count
    most = math.ceil(scale) + 1
    places, weights = np.zeros((most, count), np.int32), np.zeros((most, count), np.float32)
    for area in range(count):
        first, last = area * scale, (area + 1) * scale
        covered = [
            (pixel, min(last, pixel + 1) - max(first, pixel))
            for pixel in range(int(first), min(math.ceil(last), length))
        ]
        # OpenCV leaves out what is covered by less than a thousandth.
        kept = [pair for pair in covered if pair[1] > 1e-3]
        for tap, (pixel, share) in enumerate(kept):
            places[tap, area], weights[tap, area] = pixel, share / scale
    return places, weights
