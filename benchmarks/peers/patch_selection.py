"""Iterative patch selection: all patches are scored a few at a time, and the best ones are used.

Source: Bergner, Lippert and Mahendran 2023, "Iterative Patch Selection for High-Resolution Image
Recognition", ICLR; constants as in `config/mnist_config.yml` of benbergner/ips.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from benchmarks.peers.narrow_resnet import NarrowResNet
from stochconv_jax.models.conv import Dense
from stochconv_jax.models.stem import GlobalConv

HEAD_WIDTH = 16
MLP_FACTOR = 4
DROPOUT = 0.1
CLASSES = 10


class PatchSelection(nnx.Module):
    """Classifies an image by the M of its patches that a query attends to most.

    The patches of a grid are embedded without gradient, `iteration` at a time, and after each time
    the `memory` best by attention are kept. Those alone are then embedded once more, for the
    gradient, and pooled by the same attention.
    """

    def __init__(
        self,
        encoder: NarrowResNet,
        *,
        patch: int,
        memory: int,
        iteration: int,
        heads: int = 8,
        rngs: nnx.Rngs,
    ):
        """Builds the network.

        Args:
          encoder: of a patch; the mean over positions of its last stage is the patch's embedding.
          patch: side in pixels; the images' is a multiple of it.
          memory: M, patches that are kept.
          iteration: I, patches that are looked at between two selections.
          heads: of the attention.
          rngs: for the initial parameters.
        """
        made = {"dtype": jnp.float32, "rngs": rngs}
        width = encoder.stem_features
        self.stem = GlobalConv(encoder, width, **made)
        self.stem_tail = encoder.make_stem_tail(width, **made)
        self.blocks: nnx.List = nnx.List()
        for stage in range(1, len(encoder.repeats) + 1):
            self.blocks.extend(encoder.make_stage(stage, width, **made))
            width = encoder.stage_features(stage)
        self.pooling = CrossAttention(width, heads, rngs)
        self.classifier = Dense(width, CLASSES, rngs=rngs)
        self.patch, self.memory, self.iteration = patch, memory, iteration

    def __call__(
        self,
        image_low: jax.Array,
        image_high: jax.Array,
        key: jax.Array,
        image_index: jax.Array,
        train: bool = False,
    ) -> jax.Array:
        """Returns float32 logits [B, 10] of images [B, H, W, 1], uint8; the small ones are unused.

        Without `train` nothing is random but the order of the patches, which decides ties.
        """
        del image_low, image_index
        order_key, dropout_key = jax.random.split(key)
        patches = grid(image_high, self.patch)
        order = jax.random.permutation(order_key, patches.shape[1])
        chosen = self.select(patches, order)
        kept = jnp.take_along_axis(patches, chosen[..., None, None, None], axis=1)
        embedded = self.embed(kept, train) + self.positions(patches.shape[1])[chosen]
        return self.classifier(self.pooling(embedded, dropout_key if train else None))

    def select(self, patches: jax.Array, order: jax.Array) -> jax.Array:
        """Returns int32 [B, M], the places of the best patches, of [B, N, side, side, 1].

        With one head they are the best of all N, whatever the iteration: a softmax over other
        patches orders the same. With several the mean over heads may order otherwise.
        """
        count = patches.shape[1]
        positions = self.positions(count)
        kept = jnp.zeros((len(patches), 0), jnp.int32)
        embedded = jnp.zeros((len(patches), 0, positions.shape[1]))
        start = 0
        while start < count:
            end = min(count, start + (self.iteration if start else self.memory))
            part = order[start:end]
            new = jax.lax.stop_gradient(self.embed(patches[:, part], False)) + positions[part]
            kept = jnp.concatenate([kept, jnp.broadcast_to(part, new.shape[:2])], axis=1)
            embedded = jnp.concatenate([embedded, new], axis=1)
            if kept.shape[1] > self.memory:
                best = jax.lax.top_k(self.pooling.scores(embedded), self.memory)[1]
                kept = jnp.take_along_axis(kept, best, axis=1)
                embedded = jnp.take_along_axis(embedded, best[..., None], axis=1)
            start = end
        return kept

    def embed(self, patches: jax.Array, train: bool) -> jax.Array:
        """Returns [B, N, D] of patches [B, N, side, side, 1]."""
        x = patches.reshape(-1, *patches.shape[2:])
        x = self.stem_tail(self.stem(x), train)
        for block in self.blocks:
            x = block(x, jnp.zeros(len(x)) if train else None)
        return x.mean(axis=(1, 2)).reshape(*patches.shape[:2], -1)

    def positions(self, count: int) -> jax.Array:
        """Returns sines and cosines of each patch's number, [N, D] (Vaswani et al. 2017)."""
        width = self.classifier.in_features
        rates = 10_000.0 ** (-jnp.arange(0, width, 2) / width)
        angles = jnp.arange(count)[:, None] * rates
        return jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-1).reshape(count, width)


class CrossAttention(nnx.Module):
    """One learnt query that attends to the patches, and a perceptron, each with a residual."""

    def __init__(self, features: int, heads: int, rngs: nnx.Rngs):
        inner = heads * HEAD_WIDTH
        limit = HEAD_WIDTH**-0.5
        query = jax.random.uniform(rngs.params(), (features,), minval=-limit, maxval=limit)
        self.query = nnx.Param(query)

        def linear(inputs: int, outputs: int) -> nnx.Linear:
            return nnx.Linear(inputs, outputs, use_bias=False, rngs=rngs)

        self.to_query, self.to_key, self.to_value = (linear(features, inner) for _ in range(3))
        self.to_output = linear(inner, features)
        self.attention_norm = nnx.LayerNorm(features, rngs=rngs)
        self.up = Dense(features, MLP_FACTOR * features, rngs=rngs)
        self.down = Dense(MLP_FACTOR * features, features, rngs=rngs)
        self.norm = nnx.LayerNorm(features, rngs=rngs)
        self.heads = heads

    def scores(self, embedded: jax.Array) -> jax.Array:
        """Returns the attention to each patch, the mean over heads, [B, N] of [B, N, D]."""
        return self._attention(embedded).mean(axis=1)

    def __call__(self, embedded: jax.Array, key: jax.Array | None) -> jax.Array:
        """Returns [B, D] of [B, N, D]; with a key, features and attention are dropped."""
        keys = [None] * 3 if key is None else jax.random.split(key, 3)
        attention = _dropped(self._attention(embedded), keys[0])
        values = self._heads(self.to_value(embedded))
        seen = jnp.einsum("bhn,bnhd->bhd", attention, values).reshape(len(embedded), -1)
        x = self.attention_norm(_dropped(self.to_output(seen), keys[1]) + self.query)
        return self.norm(x + _dropped(self.down(jax.nn.relu(self.up(x))), keys[2]))

    def _attention(self, embedded: jax.Array) -> jax.Array:
        query = self._heads(self.to_query(self.query[...]))
        products = jnp.einsum("hd,bnhd->bhn", query, self._heads(self.to_key(embedded)))
        return jax.nn.softmax(products / HEAD_WIDTH**0.5, axis=-1)

    def _heads(self, x: jax.Array) -> jax.Array:
        return x.reshape(*x.shape[:-1], self.heads, HEAD_WIDTH)


def grid(images: jax.Array, side: int) -> jax.Array:
    """Cuts images [B, H, W, C] into patches beside one another, [B, N, side, side, C]."""
    batch, height, width, channels = images.shape
    x = images.reshape(batch, height // side, side, width // side, side, channels)
    return x.swapaxes(2, 3).reshape(batch, -1, side, side, channels)


def _dropped(x: jax.Array, key: jax.Array | None) -> jax.Array:
    if key is None:
        return x
    return jnp.where(jax.random.bernoulli(key, 1 - DROPOUT, x.shape), x / (1 - DROPOUT), 0)
