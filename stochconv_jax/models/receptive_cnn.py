"""A small CNN whose depth was chosen so that its last layer sees the whole of a 224x224 image.

Source: Sainadh 2023, "Explainability in Deep Learning Vision Models", table 2 and figures 34 and
35: 51,221 parameters with 7 classes. There a dropout of 1% stands behind every BatchNorm; here at
the entrance of every block, so that only the last one, before the mean, is left to
`model.dropout_rate`.

`receptive_cnn_no_batch_norm` is the same without BatchNorm, 50,583 parameters. The dissertation
judges such a network (table 4, "Base Model") and does not print it. Chosen here: kernels begin as
He et al. 2015 have them for ReLU, and the last ReLU is left out, since with nothing behind it that
centres no logit could be less than 0.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.nn.initializers import Initializer
from jax.typing import DTypeLike

from stochconv_jax.models.backbone import IMAGENET, Pixels
from stochconv_jax.models.conv import PYTORCH_INITIALIZER, Conv, batch_norm, initial_bias
from stochconv_jax.models.pooling import max_pool
from stochconv_jax.ops import Padding

# Variance 2 / fan_in (He et al. 2015, equation 10). As PyTorch draws them, each layer leaves a
# sixth of the variance: without BatchNorm the logits of all images are equal within 1e-6.
HE_INITIALIZER = nnx.initializers.he_normal()


class Layer(NamedTuple):
    """One convolution of the dissertation's table 2."""

    features: int
    kernel_size: int


# The first convolution is the stem; every other stage begins with a max-pooling over 2x2.
STAGES = (
    (Layer(16, 3), Layer(8, 1)),
    (Layer(16, 3), Layer(16, 3), Layer(32, 3), Layer(8, 1)),
    (Layer(8, 3), Layer(16, 3), Layer(32, 3), Layer(8, 1)),
    (Layer(16, 3), Layer(32, 3)),
    (Layer(32, 3), Layer(64, 3)),
)


@dataclasses.dataclass(frozen=True)
class ReceptiveCNN:
    """A backbone of convolutions, each with bias, ReLU and BatchNorm in this order.

    Attributes:
      normalised: False leaves BatchNorm out.
      dropout: rate at the entrance of every block.
      pixels: how images are normalised; the dissertation does not say.
      padding: of the convolutions.
      batch_norm_epsilon: added to the variance; TensorFlow's 1e-3 or PyTorch's 1e-5.
    """

    normalised: bool = True
    dropout: float = 0.01
    pixels: Pixels = IMAGENET
    padding: Padding = "SYMMETRIC"
    batch_norm_epsilon: float = 1e-5

    stem_kernel_size = (3, 3)
    stem_strides = (1, 1)
    stem_features = 8
    repeats = tuple(len(stage) for stage in STAGES)

    @property
    def stem_padding(self) -> Padding:
        """Padding of the stem's convolution."""
        return self.padding

    def stem_tail_features(self, features: int) -> int:
        """Channels that leave the stem, of so many kernels."""
        return features

    def head_features(self, in_features: int) -> int:
        """Channels that leave the head: those that enter."""
        return in_features

    def stage_features(self, stage: int) -> int:
        """Channels that leave stage 1 to 5."""
        return STAGES[stage - 1][-1].features

    def initial_stem_kernel(self, features: int, rngs: nnx.Rngs) -> jax.Array:
        """Draws the stem's kernels, float32 [3, 3, 3, features]."""
        return self._initializer(rngs.params(), (*self.stem_kernel_size, 3, features))

    def make_stem_tail(
        self, features: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> "BiasActivationNorm":
        """Returns what follows the stem's convolution."""
        return self._tail(features, 3 * 3 * 3, dtype=dtype, rngs=rngs)

    def make_stage(
        self, stage: int, in_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> nnx.List:
        """Returns the blocks of stage 1 to 5."""
        made: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        blocks: nnx.List = nnx.List()
        for place, (features, kernel_size) in enumerate(STAGES[stage - 1]):
            conv = Conv(
                in_features,
                features,
                kernel_size,
                padding=self.padding,
                initializer=self._initializer,
                **made,
            )
            tail = self._tail(features, kernel_size**2 * in_features, **made)
            pools = stage > 1 and place == 0
            blocks.append(ConvBlock(conv, tail, pools=pools, dropout=self.dropout))
            in_features = features
        return blocks

    def make_head(self, in_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> "LastPool":
        """Returns the last max-pooling."""
        del in_features, dtype, rngs
        return LastPool()

    def make_classifier(
        self, in_features: int, num_outputs: int, rngs: nnx.Rngs
    ) -> "ConvClassifier":
        """Returns the last convolution, of one feature for each output, and the mean."""
        norm = self._norm(num_outputs, dtype=jnp.float32, rngs=rngs)
        return ConvClassifier(in_features, num_outputs, norm, rngs=rngs)

    @property
    def _initializer(self) -> Initializer:
        return PYTORCH_INITIALIZER if self.normalised else HE_INITIALIZER

    def _tail(self, features: int, fan_in: int, **made: Any) -> "BiasActivationNorm":
        norm = self._norm(features, **made)
        return BiasActivationNorm(initial_bias(features, fan_in, made["rngs"]), norm)

    def _norm(self, features: int, **made: Any) -> nnx.BatchNorm | None:
        if not self.normalised:
            return None
        return batch_norm(features, epsilon=self.batch_norm_epsilon, **made)


class BiasActivationNorm(nnx.Module):
    """What follows a convolution: norm(relu(x + bias)), or relu(x + bias) without a norm."""

    def __init__(self, bias: jax.Array, norm: nnx.BatchNorm | None):
        self.bias = nnx.Param(bias)
        self.norm = norm

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Maps [B, H, W, features] to the same shape; `train` uses the batch's statistics."""
        x = jax.nn.relu(x + self.bias.astype(x.dtype))
        return x if self.norm is None else self.norm(x, use_running_average=not train)


class ConvBlock(nnx.Module):
    """Dropout, max-pooling over 2x2 where it `pools`, and a convolution with what follows it."""

    def __init__(self, conv: Conv, tail: BiasActivationNorm, *, pools: bool, dropout: float):
        self.conv = conv
        self.tail = tail
        self.pools = pools
        self.dropout = dropout

    def __call__(self, x: jax.Array, draw: jax.Array | None = None) -> jax.Array:
        """Maps [B, H, W, in_features] to [B, oh, ow, features].

        Args:
          x: [B, H, W, in_features].
          draw: [B] uniform in [0, 1), given when training; each image's mask follows from its own.
        """
        if draw is not None and self.dropout:
            x = jnp.where(_kept(draw, self.dropout, x.shape[1:]), x / (1 - self.dropout), 0)
        if self.pools:
            x = max_pool(x, 2, 2, "VALID")
        return self.tail(self.conv(x), train=draw is not None)


class LastPool(nnx.Module):
    """Max-pooling over 2x2; the classifier takes the mean over what is left."""

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Maps [B, H, W, features] to half its height and width."""
        del train
        return max_pool(x, 2, 2, "VALID")


class ConvClassifier(nnx.Module):
    """logits = mean over positions of norm(relu(kernel x + bias)), or of kernel x + bias."""

    def __init__(
        self, in_features: int, num_outputs: int, norm: nnx.BatchNorm | None, *, rngs: nnx.Rngs
    ):
        self.kernel = nnx.Param(PYTORCH_INITIALIZER(rngs.params(), (in_features, num_outputs)))
        self.bias = nnx.Param(initial_bias(num_outputs, in_features, rngs))
        self.norm = norm

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Maps [B, H, W, in_features] to [B, num_outputs]; `train` uses the batch's statistics."""
        x = x @ self.kernel[...] + self.bias[...]
        if self.norm is not None:
            x = self.norm(jax.nn.relu(x), use_running_average=not train)
        return x.mean(axis=(1, 2))


def _kept(draw: jax.Array, rate: float, shape: tuple[int, ...]) -> jax.Array:
    """Returns [B, *shape], False with probability `rate`, from one uniform number an image.

    By a hash of the place: for fifteen blocks the mixing of `jax.random` takes XLA:CPU forty
    seconds to compile.
    """
    seeds = _mix(lax.bitcast_convert_type(draw.astype(jnp.float32), jnp.uint32))
    places = jnp.arange(math.prod(shape), dtype=jnp.uint32).reshape(shape)
    words = _mix(seeds.reshape(-1, *(1,) * len(shape)) ^ places)
    return words >= jnp.uint32(round(rate * 2**32))


def _mix(words: jax.Array) -> jax.Array:
    """Spreads the bits of uint32 words: the last step of MurmurHash3 (Appleby 2011)."""
    words = (words ^ (words >> 16)) * jnp.uint32(0x85EBCA6B)
    words = (words ^ (words >> 13)) * jnp.uint32(0xC2B2AE35)
    return words ^ (words >> 16)


RECEPTIVE_CNNS = {
    "receptive_cnn": ReceptiveCNN(),
    "receptive_cnn_no_batch_norm": ReceptiveCNN(normalised=False),
}
