"""A plain CNN of six convolutions and two dense layers.

Source: Mashhadi 2023, "An Application of Split Attention Networks: Melanoma Detection", table 3.1,
without the patients' features. The table's kernels, unpadded, make of the thesis's 416x416 images
the 3x3 map of 100 channels, "exactly 900 nodes", that its first dense layer reads; the table's own
output sizes belong to no such kernels. Maps of other sizes are averaged to 3x3 first.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike

from stochconv_jax.errors import InputError
from stochconv_jax.models.backbone import IMAGENET, Pixels
from stochconv_jax.models.conv import PYTORCH_INITIALIZER, Conv, Dense, batch_norm, initial_bias
from stochconv_jax.models.pooling import max_pool
from stochconv_jax.ops import Padding, output_size


class Layer(NamedTuple):
    """One convolution of the thesis's table 3.1."""

    features: int
    kernel_size: int


STEM = Layer(6, 7)
LAYERS = (Layer(15, 7), Layer(30, 7), Layer(60, 5), Layer(80, 5), Layer(100, 3))
# Side of the map that the first dense layer reads, and features of both dense layers.
HEAD_SIDE = 3
HEAD_FEATURES = 512


@dataclasses.dataclass(frozen=True)
class SixConvCNN:
    """A backbone of convolutions, each with bias, BatchNorm, ReLU and max-pooling over 2x2.

    Attributes:
      pixels: how images are normalised; the thesis does not say, its ResNeSt has ImageNet's.
      padding: of the convolutions; none as published, which takes images of 266x266 or more.
      batch_norm_epsilon: added to the variance; TensorFlow's 1e-3 or PyTorch's 1e-5.
    """

    pixels: Pixels = IMAGENET
    padding: Padding = "VALID"
    batch_norm_epsilon: float = 1e-5

    stem_kernel_size = (STEM.kernel_size, STEM.kernel_size)
    stem_strides = (1, 1)
    stem_features = STEM.features
    repeats = (1,) * len(LAYERS)

    @property
    def stem_padding(self) -> Padding:
        """Padding of the stem's convolution."""
        return self.padding

    def stem_tail_features(self, features: int) -> int:
        """Channels that leave the stem, of so many kernels."""
        return features

    def head_features(self, in_features: int) -> int:
        """Features of the last dense layer."""
        del in_features
        return HEAD_FEATURES

    def stage_features(self, stage: int) -> int:
        """Channels that leave stage 1 to 5."""
        return LAYERS[stage - 1].features

    def initial_stem_kernel(self, features: int, rngs: nnx.Rngs) -> jax.Array:
        """Draws the stem's kernels, float32 [7, 7, 3, features]."""
        return PYTORCH_INITIALIZER(rngs.params(), (*self.stem_kernel_size, 3, features))

    def make_stem_tail(
        self, features: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> "BiasNormActivationPool":
        """Returns what follows the stem's convolution."""
        return self._tail(features, 3 * STEM.kernel_size**2, dtype=dtype, rngs=rngs)

    def make_stage(
        self, stage: int, in_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> nnx.List:
        """Returns the one block of stage 1 to 5."""
        made: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        features, kernel_size = LAYERS[stage - 1]
        conv = Conv(
            in_features,
            features,
            kernel_size,
            padding=self.padding,
            initializer=PYTORCH_INITIALIZER,
            **made,
        )
        return nnx.List(
            [ConvBlock(conv, self._tail(features, kernel_size**2 * in_features, **made))]
        )

    def make_head(self, in_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> "DenseHead":
        """Returns the two dense layers."""
        return DenseHead(in_features, epsilon=self.batch_norm_epsilon, dtype=dtype, rngs=rngs)

    def make_classifier(self, in_features: int, num_outputs: int, rngs: nnx.Rngs) -> nnx.Linear:
        """Returns the last dense layer."""
        return Dense(in_features, num_outputs, rngs=rngs)

    def _tail(self, features: int, fan_in: int, **made: Any) -> "BiasNormActivationPool":
        norm = batch_norm(features, activation="relu", epsilon=self.batch_norm_epsilon, **made)
        return BiasNormActivationPool(initial_bias(features, fan_in, made["rngs"]), norm)


class BiasNormActivationPool(nnx.Module):
    """What follows a convolution: max_pool(relu(norm(x + bias))) over 2x2."""

    def __init__(self, bias: jax.Array, norm: nnx.BatchNorm):
        self.bias = nnx.Param(bias)
        self.norm = norm

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Maps [B, H, W, features] to half its height and width; `train` uses the batch's."""
        x = self.norm(x + self.bias.astype(x.dtype), use_running_average=not train)
        return max_pool(x, 2, 2, "VALID")


class ConvBlock(nnx.Module):
    """A convolution and what follows it."""

    def __init__(self, conv: Conv, tail: BiasNormActivationPool):
        self.conv = conv
        self.tail = tail

    def __call__(self, x: jax.Array, draw: jax.Array | None = None) -> jax.Array:
        """Maps [B, H, W, in_features] onward; `draw` says that it trains.

        Raises:
          InputError: nothing would be left of the map.
        """
        kernel_size = self.conv.kernel.shape[:2]
        left = output_size(x.shape[1:3], kernel_size, self.conv.strides, self.conv.padding)
        if min(left) < 2:
            raise InputError(
                f"images are too small for the unpadded convolutions of six_conv_cnn, which leave "
                f"{left[0]}x{left[1]} positions; give images of 266x266 or more, or set "
                "model.conventions to 'pytorch', which pads"
            )
        return self.tail(self.conv(x), train=draw is not None)


class DenseHead(nnx.Module):
    """The map as one vector, then twice relu(norm(dense(x)))."""

    def __init__(self, in_features: int, *, epsilon: float, dtype: DTypeLike, rngs: nnx.Rngs):
        made: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        self.dense1 = Dense(in_features * HEAD_SIDE**2, HEAD_FEATURES, **made)
        self.norm1 = batch_norm(HEAD_FEATURES, activation="relu", epsilon=epsilon, **made)
        self.dense2 = Dense(HEAD_FEATURES, HEAD_FEATURES, **made)
        self.norm2 = batch_norm(HEAD_FEATURES, activation="relu", epsilon=epsilon, **made)

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Maps [B, H, W, in_features] to [B, 512]; `train` uses the batch's statistics."""
        rows, columns = (jnp.array(_shares(length), x.dtype) for length in x.shape[1:3])
        # Channel by channel, as PyTorch flattens.
        x = jnp.einsum("bhwc,ih,jw->bcij", x, rows, columns).reshape(x.shape[0], -1)
        x = self.norm1(self.dense1(x), use_running_average=not train)
        return self.norm2(self.dense2(x), use_running_average=not train)


def _shares(length: int) -> np.ndarray:
    """Returns [3, length], what each position weighs in each of the means, as PyTorch divides."""
    shares = np.zeros((HEAD_SIDE, length))
    for place, row in enumerate(shares):
        start, stop = place * length // HEAD_SIDE, -(-(place + 1) * length // HEAD_SIDE)
        row[start:stop] = 1 / (stop - start)
    return shares


SIX_CONV_CNNS = {"six_conv_cnn": SixConvCNN()}
