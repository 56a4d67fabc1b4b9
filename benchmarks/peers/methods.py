"""What is compared: the peers' methods, this library's networks, and plain ones."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from benchmarks.peers.attention_sampling import CLASSES, AttentionSampling
from benchmarks.peers.narrow_resnet import narrow_resnet
from benchmarks.peers.patch_selection import PatchSelection
from benchmarks.peers.setting import Setting
from stochconv_jax.data.pipeline.batches import Batch
from stochconv_jax.models import TwoBranchNetwork

LEARNING_RATE = 1e-3
# Of attention sampling: `scripts/mnist.py` of idiap/attention-sampling.
ENTROPY_WEIGHT = 1e-4
GRADIENT_NORM = 1.0
# Of patch selection: `config/mnist_config.yml` of benbergner/ips.
WEIGHT_DECAY = 0.1
WARM_UP = 10 / 150
FINAL_RATE = 1e-3
# PyTorch's, as patch selection has it, for every network with BatchNorm.
BATCH_NORM_MOMENTUM = 0.9


class Method(NamedTuple):
    """One way of classifying large images.

    Attributes:
      make: the network of a setting, which is called as a `TwoBranchNetwork` is.
      optimizer: of a number of steps.
      low: side of the small images that it looks at.
      penalty: what is added to the loss of a batch.
      times: the setting's epochs, as many times.
    """

    make: Callable[[Setting, nnx.Rngs], nnx.Module]
    optimizer: Callable[[int], optax.GradientTransformation]
    low: Callable[[Setting], int] = lambda setting: setting.low
    penalty: Callable[[Any, Batch], jax.Array] = lambda model, batch: jnp.float32(0)
    times: int = 1


def published_adam(steps: int) -> optax.GradientTransformation:
    """Returns attention sampling's optimizer: Adam at a constant rate, gradients clipped."""
    del steps
    return optax.chain(optax.clip_by_global_norm(GRADIENT_NORM), optax.adam(LEARNING_RATE))


def published_adamw(steps: int) -> optax.GradientTransformation:
    """Returns patch selection's optimizer: AdamW with a linear warm-up and a cosine."""
    rate = optax.warmup_cosine_decay_schedule(
        0.0, LEARNING_RATE, round(WARM_UP * steps), steps, FINAL_RATE * LEARNING_RATE
    )
    return optax.adamw(rate, weight_decay=WEIGHT_DECAY)


def attention_sampling(setting: Setting, rngs: nnx.Rngs) -> nnx.Module:
    """Returns Katharopoulos and Fleuret's network."""
    return AttentionSampling(setting.patch, setting.patches, rngs)


def patch_selection(setting: Setting, rngs: nnx.Rngs) -> nnx.Module:
    """Returns Bergner et al.'s network."""
    model = PatchSelection(
        narrow_resnet(setting.widths[-2:], setting.blocks, setting.small),
        patch=setting.patch,
        memory=setting.memory,
        iteration=setting.iteration,
        rngs=rngs,
    )
    model.set_attributes(nnx.BatchNorm, momentum=BATCH_NORM_MOMENTUM)
    return model


def several_draws(placement: str) -> Callable[[Setting, nnx.Rngs], nnx.Module]:
    """Returns what makes a network of as many single windows as attention sampling has patches."""

    def make(setting: Setting, rngs: nnx.Rngs) -> nnx.Module:
        return _network(
            setting,
            rngs,
            setting.patch,
            windows=1,
            placement=placement,
            pooled_draws=setting.patches,
            draw_pooling="attention",
        )

    return make


def papers_layer(setting: Setting, rngs: nnx.Rngs) -> nnx.Module:
    """Returns the full split of Reekie 2021: each kernel has a window as wide as the small image.

    As there, whose windows of 225 pixels go with small images of 224.
    """
    return _network(setting, rngs, setting.low)


def plain(setting: Setting, rngs: nnx.Rngs) -> nnx.Module:
    """Returns a network that sees the whole image at once."""
    return _network(setting, rngs, setting.patch, branches=("global",))


def _network(setting: Setting, rngs: nnx.Rngs, window: int, **arguments: Any) -> nnx.Module:
    backbone = narrow_resnet(setting.widths, setting.blocks, setting.small)
    kernel, stride = backbone.stem_kernel_size[0], backbone.stem_strides[0]
    return TwoBranchNetwork(
        backbone,
        num_outputs=CLASSES,
        output_size=((window - kernel) // stride + 1,) * 2,
        batch_norm_momentum=BATCH_NORM_MOMENTUM,
        dropout_rate=0.0,
        rngs=rngs,
        **arguments,
    )


ATTENTION_SAMPLING = Method(
    attention_sampling,
    published_adam,
    penalty=lambda model, batch: ENTROPY_WEIGHT * model.negative_entropy(batch["image_low"]),
)
PATCH_SELECTION = Method(patch_selection, published_adamw)
GUIDED = Method(several_draws("guided"), published_adamw)
METHODS = {
    "attention sampling": ATTENTION_SAMPLING,
    # The peers' methods are slow to start, and were published with many more steps.
    "attention sampling, 5 times the epochs": ATTENTION_SAMPLING._replace(times=5),
    "patch selection": PATCH_SELECTION,
    "patch selection, 5 times the epochs": PATCH_SELECTION._replace(times=5),
    "ours, even windows": Method(several_draws("even"), published_adamw),
    "ours, guided windows": GUIDED,
    "ours, guided windows, 5 times the epochs": GUIDED._replace(times=5),
    "ours, a window per kernel": Method(papers_layer, published_adamw),
    "plain, small image": Method(plain, published_adamw),
    "plain, whole image": Method(plain, published_adamw, low=lambda setting: setting.canvas),
}
