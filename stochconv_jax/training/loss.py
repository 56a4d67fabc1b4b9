"""What training minimises."""

import jax
import jax.numpy as jnp
import optax


def cross_entropy(logits: jax.Array, labels: jax.Array, smoothing: float = 0.0) -> jax.Array:
    """Returns the loss of each image in nats: binary for one output, softmax for several.

    Args:
      logits: float32 [B, outputs].
      labels: int [B].
      smoothing: share s of the label that is divided among all classes evenly: of N classes, the
        target is 1 - s + s / N for the label's and s / N for each other.

    Returns:
      float32 [B].
    """
    if logits.shape[-1] == 1:
        target = labels * (1 - smoothing) + smoothing / 2
        return optax.sigmoid_binary_cross_entropy(logits[:, 0], target)
    if not smoothing:
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    target = optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1]), smoothing)
    return optax.softmax_cross_entropy(logits, target)


def mean_loss(
    losses: jax.Array, labels: jax.Array, class_weights: tuple[float, ...], axis_name: str
) -> jax.Array:
    """Returns the mean over the images of all devices, each weighted by its class.

    sum of w[label] * loss / sum of w[label], as PyTorch's CrossEntropyLoss(weight) has it; without
    weights the plain mean.
    """
    if not class_weights:
        return jax.lax.pmean(losses.mean(), axis_name)
    weights = jnp.asarray(class_weights, jnp.float32)[labels]
    total = jax.lax.psum((weights * losses).sum(), axis_name)
    return total / jax.lax.psum(weights.sum(), axis_name)
