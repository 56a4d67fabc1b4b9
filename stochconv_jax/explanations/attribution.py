"""Attributions: how much each part of an input moves a score, whatever network gives the score.

A score maps inputs [B, ...] to float [B], each image's from its own input alone. One pass of the
batch is in memory at a time, forward and backward, however many steps, samples or places there are.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

Score = Callable[[jax.Array], jax.Array]


def grad_cam(score: Score, activations: jax.Array) -> jax.Array:
    """Returns relu(sum over k of (mean over places of d score / dA_k) A_k).

    Args:
      score: of a layer's activations.
      activations: A, float [B, h, w, K].

    Returns:
      float32 [B, h, w], 0 or more.

    Source: Selvaraju et al. 2017, section 3.
    """
    weights = _gradient(score, activations).mean(axis=(1, 2))
    return jax.nn.relu(jnp.einsum("bhwk,bk->bhw", activations, weights)).astype(jnp.float32)


def integrated_gradients(
    score: Score, inputs: jax.Array, baselines: jax.Array, steps: int = 32
) -> jax.Array:
    """Returns (x - x') * integral over a in [0, 1] of d score(x' + a (x - x')) / dx.

    The integral is Gauss' and Legendre's sum. The attributions of an image add up to
    score(x) - score(x') as `steps` grows.

    Args:
      score: of the inputs.
      inputs: x, float [B, ...].
      baselines: x', broadcast to the inputs: what shows nothing.
      steps: nodes of the sum; as many passes.

    Source: Sundararajan et al. 2017, equation 1.
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    difference = inputs - baselines

    def add(total: jax.Array, node: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        place, weight = node
        return total + weight * _gradient(score, baselines + place * difference), None

    nodes_and_weights = (jnp.float32((nodes + 1) / 2), jnp.float32(weights / 2))
    total, _ = jax.lax.scan(add, jnp.zeros_like(difference), nodes_and_weights)
    return difference * total


def gradient_shap(
    score: Score,
    inputs: jax.Array,
    baselines: jax.Array,
    keys: jax.Array,
    samples: int = 32,
    deviation: float = 0.0,
) -> jax.Array:
    """Returns the mean over samples of (x - x') * d score(x' + a (x - x')) / dx.

    In each sample x is the input with Gaussian noise, x' one of the baselines and a uniform in
    [0, 1), all drawn for each image anew.

    Args:
      score: of the inputs.
      inputs: float [B, ...].
      baselines: float [N, ...], to draw from.
      keys: [B], for each image's draws.
      samples: as many passes.
      deviation: standard deviation of the noise.

    Source: Lundberg and Lee 2017, as captum's GradientShap does it.
    """
    inputs, baselines = jnp.asarray(inputs), jnp.asarray(baselines)

    def draw(image: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        noise, choice, place = jax.random.split(key, 3)
        noisy = image + deviation * jax.random.normal(noise, image.shape, image.dtype)
        drawn = baselines[jax.random.randint(choice, (), 0, len(baselines))]
        return noisy, drawn, jax.random.uniform(place)

    def add(total: jax.Array, sample: jax.Array) -> tuple[jax.Array, None]:
        own = jax.vmap(jax.random.fold_in, (0, None))(keys, sample)
        return total + gradient_between(score, *jax.vmap(draw)(inputs, own)), None

    total, _ = jax.lax.scan(add, jnp.zeros_like(inputs), jnp.arange(samples))
    return total / samples


def gradient_between(
    score: Score, inputs: jax.Array, baselines: jax.Array, places: jax.Array
) -> jax.Array:
    """Returns (x - x') * d score(x' + a (x - x')) / dx, a of `places` [B] in [0, 1]."""
    difference = inputs - baselines
    places = places.reshape(-1, *[1] * (inputs.ndim - 1))
    return difference * _gradient(score, baselines + places * difference)


def occlusion(
    score: Score, inputs: jax.Array, size: int, stride: int, baseline: float = 0.0
) -> jax.Array:
    """Returns how much lower the score is where a square is hidden, the mean over such squares.

    Args:
      score: of the inputs.
      inputs: float [B, h, w, C].
      size: side of a square.
      stride: from one square to the next, `size` at most; squares that reach over the lower and the
        right edge are cut off.
      baseline: what is put in a square's place.

    Returns:
      float32 [B, h, w].

    Source: Zeiler and Fergus 2014, section 4.2, as captum's Occlusion does it.
    """
    height, width = inputs.shape[1:3]
    starts = [range(0, max(side - size, 0) + stride, stride) for side in (height, width)]
    corners = jnp.array([(top, left) for top in starts[0] for left in starts[1]])
    rows, columns = jnp.arange(height)[:, None], jnp.arange(width)[None]
    whole = score(inputs)

    def add(
        sums: tuple[jax.Array, jax.Array], corner: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array], None]:
        down, across = rows - corner[0], columns - corner[1]
        hidden = (down >= 0) & (down < size) & (across >= 0) & (across < size)
        lost = whole - score(jnp.where(hidden[..., None], baseline, inputs))
        return (sums[0] + lost[:, None, None] * hidden, sums[1] + hidden), None

    nothing = jnp.zeros((len(inputs), height, width)), jnp.zeros((height, width))
    (total, times), _ = jax.lax.scan(add, nothing, corners)
    return total / times


def _gradient(score: Score, inputs: jax.Array) -> jax.Array:
    return jax.grad(lambda inputs: score(inputs).sum())(inputs)
