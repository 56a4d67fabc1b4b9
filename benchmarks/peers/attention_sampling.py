"""Attention sampling: a few patches, drawn from an attention map of the small image.

Source: Katharopoulos and Fleuret 2019, "Processing Megapixel Images with Deep Attention-Sampling
Models", ICML; layers, sizes and constants as in `scripts/mnist.py` of idiap/attention-sampling.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from stochconv_jax.keys import image_keys

# The attention is mixed with so much of the uniform distribution.
SMOOTHING = 1e-5
HIDDEN = 8
FEATURES = 32
CLASSES = 10


class AttentionSampling(nnx.Module):
    """Classifies z ~ sum over places p of a(p) f(patch at p), estimated from sampled patches.

    `a` is a network of the small image with a softmax over all its places, `f` one of a patch of
    the large image, and places are drawn from `a` without replacement.
    """

    def __init__(self, patch: int, patches: int, rngs: nnx.Rngs):
        """Builds the network.

        Args:
          patch: side in pixels, at least 13.
          patches: how many are drawn for an image.
          rngs: for the initial parameters.
        """
        draw = nnx.initializers.glorot_uniform()

        def conv(inputs: int, outputs: int, side: int, padding: str) -> nnx.Conv:
            return nnx.Conv(
                inputs, outputs, (side, side), padding=padding, kernel_init=draw, rngs=rngs
            )

        self.attention_convs = nnx.List(
            [conv(i, o, 3, "SAME") for i, o in ((1, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, 1))]
        )
        self.feature_convs = nnx.List(
            [conv(1, FEATURES, 7, "VALID")]
            + [conv(FEATURES, FEATURES, 3, "VALID") for _ in range(3)]
        )
        self.classifier = nnx.Linear(FEATURES, CLASSES, kernel_init=draw, rngs=rngs)
        self.patch = patch
        self.patches = patches

    def __call__(
        self,
        image_low: jax.Array,
        image_high: jax.Array,
        key: jax.Array,
        image_index: jax.Array,
        train: bool = False,
    ) -> jax.Array:
        """Returns float32 logits [B, 10] of images [B, h, w, 1] and [B, H, W, 1], uint8.

        It samples in evaluation as in training.
        """
        del train
        attention = self.attention(image_low)
        places = sample(attention, image_keys(key, image_index), self.patches)
        patches = cut(image_high, places, image_low.shape[1:3], self.patch)
        features = self.features(patches.reshape(-1, self.patch, self.patch, 1))
        features = features.reshape(*places.shape, -1)
        drawn = jnp.take_along_axis(attention, places, axis=1)
        return self.classifier(expectation(drawn, features))

    def attention(self, image_low: jax.Array) -> jax.Array:
        """Returns the probability of every place of the small image, [B, h * w]."""
        x = image_low.astype(jnp.float32) / 255
        for conv in self.attention_convs[:-1]:
            x = jnp.tanh(conv(x))
        logits = self.attention_convs[-1](x).reshape(len(x), -1)
        return (1 - SMOOTHING) * jax.nn.softmax(logits, axis=1) + SMOOTHING / logits.shape[1]

    def features(self, patches: jax.Array) -> jax.Array:
        """Returns features of length 1 of patches of pixels, [N, 32] of [N, side, side, 1]."""
        x = patches.astype(jnp.float32) / 255
        for conv in self.feature_convs:
            x = jax.nn.relu(conv(x))
        x = x.max(axis=(1, 2))
        return x * jax.lax.rsqrt(jnp.maximum((x**2).sum(axis=1, keepdims=True), 1e-12))

    def negative_entropy(self, image_low: jax.Array) -> jax.Array:
        """Returns sum over places of a log a, the mean over images: what keeps `a` spread."""
        attention = self.attention(image_low)
        return (attention * jnp.log(attention + 1e-6)).sum(axis=1).mean()


def sample(attention: jax.Array, keys: jax.Array, count: int) -> jax.Array:
    """Draws places without replacement, each in turn in proportion to the attention.

    By the largest of log a + Gumbel noise (Gumbel-top-k).

    Returns:
      int32 [B, count], in the order in which they were drawn.
    """
    noise = jax.vmap(lambda key: jax.random.gumbel(key, attention.shape[1:]))(keys)
    return jax.lax.top_k(jax.lax.stop_gradient(jnp.log(attention)) + noise, count)[1]


def expectation(attention: jax.Array, features: jax.Array) -> jax.Array:
    """Estimates sum over all places of a f from places drawn without replacement, unbiased.

    With r_k = 1 - sum over j < k of a_j, what was left when place k was drawn:

        z = mean over k of (sum over j < k of a_j f_j + r_k f_k)

    Each k by itself is unbiased, since place k is drawn with probability a_k / r_k. So is each
    gradient: of the places before k as they stand, and of place k with r_k / a_k held constant,
    so that da_k is weighted by one over the probability of the draw.

    Args:
      attention: [B, K] of the places in the order of the draw.
      features: [B, K, F].

    Returns:
      [B, F].
    """
    a = attention[..., None]
    before = jnp.cumsum(a, axis=1) - a
    seen = jnp.cumsum(a * features, axis=1) - a * features
    left = jnp.maximum(1 - before, 0)
    return (seen + a * jax.lax.stop_gradient(left / a) * features).mean(axis=1)


def cut(images: jax.Array, places: jax.Array, low_size: tuple[int, int], side: int) -> jax.Array:
    """Cuts patches around places of the small images; beyond the edges there is black.

    Args:
      images: [B, H, W, C].
      places: int [B, K], row * w + column of the small images.
      low_size: (h, w) of the small images.
      side: of the patches, in pixels.

    Returns:
      [B, K, side, side, C].
    """
    before, after = side // 2, side - side // 2
    padded = jnp.pad(images, ((0, 0), (before, after), (before, after), (0, 0)))
    rows, columns = places // low_size[1], places % low_size[1]
    # The centre of a place; in the padded image a patch begins where its centre was.
    tops = (2 * rows + 1) * images.shape[1] // (2 * low_size[0])
    lefts = (2 * columns + 1) * images.shape[2] // (2 * low_size[1])

    def one(image: jax.Array, top: jax.Array, left: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(image, (top, left, 0), (side, side, image.shape[-1]))

    return jax.vmap(jax.vmap(one, (None, 0, 0)))(padded, tops, lefts)
