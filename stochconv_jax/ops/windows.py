"""Where a stochastic convolution looks: the size of its windows and their random corners."""

import jax
import jax.numpy as jnp

from stochconv_jax.keys import image_keys, pinned

AXES = ("independent", "diagonal")


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
) -> jax.Array:
    """Draws the top-left corners of random windows, uniform over every position that fits.

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

    Returns:
      int32 [batch, windows, 2]: (row, column) with 0 <= corner <= image_size - window_size.

    Raises:
      ValueError: the window does not fit into the image, or `axes` is unknown.
    """
    if axes not in AXES:
        raise ValueError(f"axes is {axes!r}; use one of {', '.join(AXES)}")
    spans = [image - window + 1 for image, window in zip(image_size, window_size, strict=True)]
    if min(spans) < 1:
        raise ValueError(
            f"a window of {window_size[0]}x{window_size[1]} pixels does not fit into an image of "
            f"{image_size[0]}x{image_size[1]}; use larger images or a smaller output"
        )
    if not per_image:
        corners = _corners(pinned(key), windows, spans, axes)
        return jnp.broadcast_to(corners, (batch, windows, 2))
    if image_index is None:
        image_index = jnp.arange(batch)
    keys = image_keys(key, image_index)
    return jax.vmap(lambda image_key: _corners(image_key, windows, spans, axes))(keys)


def _corners(key: jax.Array, windows: int, spans: list[int], axes: str) -> jax.Array:
    if axes == "independent":
        return jax.random.randint(key, (windows, 2), 0, jnp.array(spans))
    longest = max(spans)
    draw = jax.random.randint(key, (windows, 1), 0, longest)
    return draw * jnp.array(spans) // longest
