"""The small image within a program: what `data.pipeline.shrink` does on the host."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from stochconv_jax.errors import InputError


def small_images(images: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Shrinks images, each pixel the mean of its area, to whole grey levels.

    Halving and whole factors are the host's to the bit; of other factors a pixel in thousands may
    differ by one grey level, since the sums are made in another order.

    Args:
      images: uint8 [B, H, W, 3].
      size: (height, width), at most (H, W).

    Returns:
      float32 [B, height, width, 3], whole numbers of 0 to 255.

    Raises:
      InputError: the size is the larger one.
    """
    height, width = images.shape[1:3]
    if size[0] > height or size[1] > width:
        raise InputError(
            f"the small image, {size[0]}x{size[1]}, is larger than the framed photograph, "
            f"{height}x{width}; such a network cannot be exported"
        )
    pixels = images.astype(jnp.float32)
    while height >= 4 * size[0] and width >= 4 * size[1] and not (height % 2 or width % 2):
        height, width = height // 2, width // 2
        pixels = _halved(pixels)
    if (height, width) == (2 * size[0], 2 * size[1]):
        return _halved(pixels)
    if (height, width) == size:
        return pixels
    # Sums of covered pixels; where the factors are whole these are whole numbers, without rounding.
    product = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
    sums = product("wv,bhvc->bhwc", coverage(width, size[1]), pixels)
    sums = product("hu,buwc->bhwc", coverage(height, size[0]), sums)
    area = np.float32(height / size[0] * (width / size[1]))
    return jnp.round(sums * (1 / area))


def coverage(length: int, count: int) -> np.ndarray:
    """Returns how much of each of `length` pixels lies in each of `count` areas, [count, length].

    float32 of 0 to 1; every row sums to length / count.
    """
    edges = np.arange(count + 1) * length / count
    first, last = edges[:-1, None], edges[1:, None]
    pixel = np.arange(length)
    return np.clip(np.minimum(last, pixel + 1) - np.maximum(first, pixel), 0, 1).astype(np.float32)


def _halved(pixels: jax.Array) -> jax.Array:
    """The mean of two by two pixels, a half rounded up, as OpenCV does it."""
    pairs = pixels[:, 0::2] + pixels[:, 1::2]
    return jnp.floor((pairs[:, :, 0::2] + pairs[:, :, 1::2] + 2) / 4)
