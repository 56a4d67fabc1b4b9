"""Where a stochastic convolution looks: the size of its windows and their random corners."""

import jax
import jax.numpy as jnp

from stochconv_jax.keys import image_keys, pinned

AXES = ("independent", "diagonal")
PLACEMENTS = ("independent", "even")

# Of the R2 sequence, 1/g and 1/g^2 with g^3 = g + 1, as 32-bit fractions.
R2 = (3242174889, 2447445414)
# The golden ratio's fraction, likewise.
GOLDEN = 2654435769


def window_size(
    output_size: tuple[int, int],
    kernel_size: tuple[int, int] = (3, 3),
    strides: tuple[int, int] = (2, 2),
) -> tuple[int, int]:
    """Returns the (height, width) in pixels that an unpadded convolution reads for `output_size`.

    window = (output - 1) * stride + kernel, along each axis (Reekie 2021, section 3.2.1).
    """
    height, width = (
        (output - 1) * stride + kernel
        for output, stride, kernel in zip(output_size, strides, kernel_size, strict=True)
    )
    return height, width


def sample_windows(
    key: jax.Array,
    batch: int,
    windows: int,
    image_size: tuple[int, int],
    window_size: tuple[int, int],
    per_image: bool = True,
    axes: str = "independent",
    image_index: jax.Array | None = None,
    placement: str = "independent",
    draw: int | jax.Array = 0,
) -> jax.Array:
    """Draws the top-left corners of random windows, uniform over every position that fits.

    Even windows are the points frac(u + n (1/g, 1/g^2)) for n = draw * windows, draw * windows + 1,
    ..., with g^3 = g + 1 and one random shift u for each key and image: each window is as uniform
    as an independent one, and the windows of any number of draws cover the image evenly, those of
    each kernel by themselves as well.
    Source: the R2 sequence (Roberts 2018) with a Cranley-Patterson rotation (1976).

    Args:
      key: the random key, of any implementation. The same key and image index give the same
        corners, whatever the batch around them.
      batch: number of images.
      windows: windows per image (the number of kernels, for the paper's layer).
      image_size: (height, width) of the images, in pixels.
      window_size: (height, width) of a window, in pixels; see `window_size`.
      per_image: False draws the windows once for the whole batch: the paper's published shortcut.
      axes: "independent" draws the two coordinates separately, as the paper defines it; "diagonal"
        derives both from one draw, as its published experiment did.
      image_index: int [batch], what to fold into the key for each image, such as its index in the
        data set; its position in the batch where None.
      placement: "independent", or "even" for windows that are spread over the image together, with
        independent axes only.
      draw: int [], which draw of the key's: of even windows the draws continue one sequence.

    Returns:
      int32 [batch, windows, 2]: (row, column) with 0 <= corner <= image_size - window_size.

    Raises:
      ValueError: the window does not fit into the image, or `axes` or `placement` is unknown.
    """
    check_placement(placement, axes)
    spans = [image - window + 1 for image, window in zip(image_size, window_size, strict=True)]
    if min(spans) < 1:
        raise ValueError(
            f"a window of {window_size[0]}x{window_size[1]} pixels does not fit into an image of "
            f"{image_size[0]}x{image_size[1]}; use larger images or a smaller output"
        )
    place = _even_corners if placement == "even" else _independent_corners

    def corners(key: jax.Array) -> jax.Array:
        return place(key, windows, spans, axes, draw)

    if not per_image:
        return jnp.broadcast_to(corners(pinned(key)), (batch, windows, 2))
    if image_index is None:
        image_index = jnp.arange(batch)
    return jax.vmap(corners)(image_keys(key, image_index))


def check_placement(placement: str, axes: str) -> None:
    """Checks the words that say how windows are drawn.

    Raises:
      ValueError: one is unknown, or they do not go together.
    """
    if axes not in AXES:
        raise ValueError(f"axes is {axes!r}; use one of {', '.join(AXES)}")
    if placement not in PLACEMENTS:
        raise ValueError(f"placement is {placement!r}; use one of {', '.join(PLACEMENTS)}")
    if placement == "even" and axes != "independent":
        raise ValueError(
            f"even windows have independent axes and axes is {axes!r}; use placement 'independent'"
        )


def _independent_corners(
    key: jax.Array, windows: int, spans: list[int], axes: str, draw: int | jax.Array
) -> jax.Array:
    # The first draw is the key's own, so that a single draw needs no number.
    words = jax.random.key_data(jax.random.fold_in(key, draw))
    words = jnp.where(draw == 0, jax.random.key_data(key), words)
    key = jax.random.wrap_key_data(words, impl=jax.random.key_impl(key))
    if axes == "independent":
        return jax.random.randint(key, (windows, 2), 0, jnp.array(spans))
    longest = max(spans)
    if longest * (longest - 1) >= 1 << 31:
        raise ValueError(f"diagonal windows have at most 46341 places along an axis, not {longest}")
    corner = jax.random.randint(key, (windows, 1), 0, longest)
    return corner * jnp.array(spans) // longest


def _even_corners(
    key: jax.Array, windows: int, spans: list[int], axes: str, draw: int | jax.Array
) -> jax.Array:
    del axes
    return _scaled(even_points(key, windows, draw), spans)


def even_points(key: jax.Array, count: int, draw: int | jax.Array = 0) -> jax.Array:
    """Returns points of the R2 sequence with the key's random shift, as 32-bit fractions of 1.

    In whole numbers, whose overflow is the fraction that the sequence asks for, so that no point is
    less exact than the first. The points of a draw are turned against those of the draw before, by
    the golden section of their number: every count-th point of the sequence may lie on a strip, and
    each kernel's own windows are to cover the image over the draws as well.

    Returns:
      uint32 [count, 2]: points draw * count, draw * count + 1, ... of the sequence, in this order
      for the first draw, and turned for the others.
    """
    shift = jax.random.bits(key, (2,), jnp.uint32)
    draw, own = jnp.asarray(draw, jnp.uint32), jnp.arange(count, dtype=jnp.uint32)
    turn = (draw * jnp.uint32(GOLDEN) >> 16) * jnp.uint32(count) >> 16
    number = jnp.uint32(count) * draw + (own + turn) % jnp.uint32(count)
    return shift + number[:, None] * jnp.array(R2, jnp.uint32)


def _scaled(points: jax.Array, spans: list[int]) -> jax.Array:
    """Returns floor(points * spans / 2^32), exact in 32 bits for spans below 2^16."""
    if max(spans) >= 1 << 16:
        raise ValueError(f"even windows have at most 65535 places along an axis, not {max(spans)}")
    size = jnp.array(spans, jnp.uint32)
    high, low = points >> 16, points & 0xFFFF
    return ((high * size + (low * size >> 16)) >> 16).astype(jnp.int32)
