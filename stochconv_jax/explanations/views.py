"""What is explained, a class's score, and images of which a part is hidden from both branches."""

import jax
import jax.numpy as jnp

from stochconv_jax.models.branch import Batch


def class_scores(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Returns how much logits [B, outputs] speak for the classes `targets` [B]: float32 [B].

    It is the class's own logit; a single one speaks for class 1 and against class 0.
    """
    if logits.shape[-1] == 1:
        return jnp.where(targets == 1, logits[:, 0], -logits[:, 0])
    return jnp.take_along_axis(logits, targets[:, None], axis=1)[:, 0]


def hide(batch: Batch, kept: jax.Array, pixel: jax.Array) -> dict[str, jax.Array]:
    """Returns a batch with one colour where `kept` is 0, in the small and the large image alike.

    Args:
      batch: with `image_low` [B, h, w, 3], and the planes `image_high` if a branch sees them.
      kept: [B, rows, columns], 1 where an image stays as it is; brought to either image's size.
      pixel: float [3], the colour, of 0 to 255.
    """
    low = batch["image_low"]
    stays = _resized(kept, low.shape[1:3])[..., None]
    hidden = {**batch, "image_low": jnp.where(stays, low, pixel.astype(low.dtype))}
    if "image_high" in batch:
        planes = batch["image_high"]
        stays = _resized(kept, planes.shape[4:])[:, None, None, None]
        colour = pixel.astype(planes.dtype)[:, None, None]
        hidden["image_high"] = jnp.where(stays, planes, colour)
    return hidden


def _resized(kept: jax.Array, size: tuple[int, ...]) -> jax.Array:
    return jax.image.resize(kept, (len(kept), *size), "nearest") > 0.5
