"""A family of networks other than EfficientNet: what `Backbone` asks for, and nothing else."""

import dataclasses

import jax
from flax import nnx

from stochconv_jax.models import BACKBONES
from stochconv_jax.models.backbone import HALF

KERNEL = nnx.initializers.he_normal()


class Activation(nnx.Module):
    def __call__(self, x, train=False):
        return jax.nn.relu(x)


class Block(nnx.Module):
    def __init__(self, inputs, features, rngs):
        self.dense = nnx.Linear(inputs, features, rngs=rngs)

    def __call__(self, x, draw=None):
        return jax.nn.gelu(self.dense(x))


class Pool(nnx.Module):
    def __call__(self, x, train=False):
        return x.mean(axis=(1, 2))


@dataclasses.dataclass(frozen=True)
class Toy:
    """Two stages behind a stem of 6 kernels of 5x3 with strides (4, 2), pixels scaled to +-1."""

    pixels = HALF
    batch_norm_epsilon = 1e-3
    stem_kernel_size, stem_strides, stem_features, stem_padding = (5, 3), (4, 2), 6, "SAME"
    repeats = (1, 2)

    def head_features(self, in_features):
        return in_features

    def stage_features(self, stage):
        return (8, 10)[stage - 1]

    def initial_stem_kernel(self, features, rngs):
        return KERNEL(rngs.params(), (*self.stem_kernel_size, 3, features))

    def stem_tail_features(self, features):
        return features

    def make_stem_tail(self, features, *, dtype, rngs):
        return Activation()

    def make_stage(self, stage, in_features, *, dtype, rngs):
        inputs = [in_features, *[self.stage_features(stage)] * (self.repeats[stage - 1] - 1)]
        return nnx.List([Block(each, self.stage_features(stage), rngs) for each in inputs])

    def make_head(self, in_features, *, dtype, rngs):
        return Pool()

    def make_classifier(self, in_features, num_outputs, rngs):
        return nnx.Linear(in_features, num_outputs, rngs=rngs)


# For runs, which know their backbone by its name.
NAME = "toy"
BACKBONES |= {NAME: Toy()}
