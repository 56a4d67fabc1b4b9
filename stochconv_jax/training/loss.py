"""What training minimises."""

import jax
import jax.numpy as jnp
import optax


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Returns the loss of each image in nats, [B]: binary for one output, softmax for several."""
    if logits.shape[-1] == 1:
        return optax.sigmoid_binary_cross_entropy(logits[:, 0], labels)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def mean_cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    smoothing: float,
    class_weights: tuple[float, ...],
    axis_name: str,
) -> jax.Array:
    """Returns the mean loss of the images of all devices, as PyTorch's CrossEntropyLoss has it.

    - sum over images and classes c of w[c] * t[c] * log p[c], by the sum over images of w[label],
    with the targets t[c] = s / N, and 1 - s more for the label's class.

    Args:
      logits: float32 [B, outputs]; one output is that of the second of two classes.
      labels: int [B].
      smoothing: s, the share of the label that is divided among all N classes evenly.
      class_weights: w, of each class; () for 1 each.
      axis_name: of the mesh, whose devices each hold B images.

    Returns:
      float32 [].
    """
    if not smoothing and not class_weights:
        return jax.lax.pmean(cross_entropy(logits, labels).mean(), axis_name)
    if logits.shape[-1] == 1:
        logits = jnp.concatenate([jnp.zeros_like(logits), logits], axis=-1)
    classes = logits.shape[-1]
    weights = jnp.asarray(class_weights or (1.0,) * classes, jnp.float32)
    targets = optax.smooth_labels(jax.nn.one_hot(labels, classes), smoothing)
    losses = -(weights * targets * jax.nn.log_softmax(logits)).sum(axis=-1)
    total = jax.lax.psum(losses.sum(), axis_name)
    return total / jax.lax.psum(weights[labels].sum(), axis_name)
