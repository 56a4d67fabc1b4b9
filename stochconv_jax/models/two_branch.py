"""Networks with a global branch, a stochastic branch, or both, joined where one says."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from stochconv_jax.models.backbone import Backbone
from stochconv_jax.models.branch import Branch, Masks, Stages
from stochconv_jax.ops import sample_windows, window_size
from stochconv_jax.ops.windows import AXES

BRANCHES = ("global", "stochastic")


class TwoBranchNetwork(nnx.Module):
    """An image classifier that sees the whole image small and random windows at full detail.

    Each branch has a stem and the backbone's stages up to the join; there their channels are
    concatenated and one trunk goes on. `join="stem"` is the paper's stochastic stem, `join=3` its
    stochastic skip, `join="head"` its full split: whole backbones, features concatenated before
    dropout and the dense layer. `branches=("global",)` is the plain network,
    `("stochastic",)` the pure stochastic one, `("global", "global")` two ordinary branches.

    Source: Reekie 2021, section 4.1.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        branches: Sequence[str] = BRANCHES,
        join: str | int = "head",
        num_outputs: int = 1,
        output_size: tuple[int, int] = (112, 112),
        stem_features: int = 0,
        windows: int = 0,
        per_image: bool = True,
        axes: str = "independent",
        dropout_rate: float = 0.3,
        batch_norm_momentum: float = 0.99,
        remat: bool = False,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        """Builds the network; eager initialisation is slow, so prefer `create_model`.

        Args:
          backbone: what branches and trunk are made of, such as BACKBONES["efficientnet_b0"].
          branches: one of "global" and "stochastic" for each branch.
          join: "stem", the number of the last stage before the join, or "head".
          num_outputs: logits an image.
          output_size: (height, width) of the stochastic stem's map; where the branches join before
            the head it must be the global stem's, half the small image rounded up.
          stem_features: kernels of each stem; the backbone's own number where 0.
          windows: windows an image, dividing `stem_features`; a window a kernel where 0.
          per_image: False draws the windows once a batch.
          axes: "independent" or "diagonal" windows.
          dropout_rate: of the features before the dense layer.
          batch_norm_momentum: what is kept of the running statistics each step, by Flax's and
            TensorFlow's convention (1 - PyTorch's); 0.99 as published for long training, less
            where a run makes fewer than a few thousand steps.
          remat: keep only what enters each block for its gradient, and compute the block
            again in the backward pass: less memory, more time.
          dtype: of the computation; parameters and statistics are float32.
          rngs: for the initial parameters.

        Raises:
          ValueError: an argument is out of its range.
        """
        if not branches or set(branches) - set(BRANCHES):
            raise ValueError(f"branches are {tuple(branches)}; use {' or '.join(BRANCHES)}")
        stem_features = stem_features or backbone.stem_features
        if axes not in AXES:
            raise ValueError(f"axes is {axes!r}; use one of {', '.join(AXES)}")
        if windows and stem_features % windows:
            raise ValueError(f"{windows} windows do not divide {stem_features} kernels")
        self.backbone = backbone
        self.branch_names = tuple(branches)
        self.windows = windows or stem_features
        self.per_image = per_image
        self.axes = axes
        self.output_size = (output_size[0], output_size[1])
        stages = len(backbone.repeats)
        last = _stages_before(join, stages)
        if len(branches) == 1:
            last = stages + 1
        self.branches = nnx.List(
            [
                Branch(
                    backbone,
                    name,
                    stem_features,
                    self.output_size,
                    last,
                    remat=remat,
                    dtype=dtype,
                    rngs=rngs,
                )
                for name in branches
            ]
        )
        self.joins_at_head = last > stages
        features = backbone.head_features * len(branches)
        if not self.joins_at_head:
            joined = stem_features if last == 0 else backbone.stage_features(last)
            self.trunk = Stages(
                backbone,
                last + 1,
                stages + 1,
                joined * len(branches),
                remat=remat,
                dtype=dtype,
                rngs=rngs,
            )
            features = backbone.head_features
        self.set_attributes(nnx.BatchNorm, momentum=batch_norm_momentum)
        self.dropout_rate = dropout_rate
        self.classifier = _make_classifier(features, num_outputs, rngs)

    def __call__(
        self,
        image_low: jax.Array | None,
        image_high: jax.Array | None,
        key: jax.Array,
        image_index: jax.Array | None = None,
        train: bool = False,
    ) -> jax.Array:
        """Classifies images with one draw of windows.

        Args:
          image_low: [B, h, w, 3], pixels of 0 to 255; unused without a global branch.
          image_high: [B, H, W, 3] or polyphase planes [B, 2, 2, 3, H/2, W/2], pixels of 0 to 255;
            unused without a stochastic branch.
          key: for the windows and, when training, dropout and drop path.
          image_index: int [B], folded into the key, so that what an image meets does not depend on
            its place in a batch.
          train: use and update the batch's statistics, drop features and blocks.

        Returns:
          float32 logits [B, num_outputs].
        """
        images = image_low if image_low is not None else image_high
        if images is None:
            raise ValueError(
                "neither image_low nor image_high is given; give what the branches see"
            )
        if image_index is None:
            image_index = jnp.arange(images.shape[0])
        window_key, mask_key = jax.random.split(key)
        corners = None
        if "stochastic" in self.branch_names and image_high is not None:
            corners = self.sample_windows(window_key, image_high, image_index)
        masks = Masks(mask_key, image_index) if train else None
        features = [
            self.branch_features(number, image_low, image_high, corners, masks)
            for number in range(len(self.branches))
        ]
        return self.classify(features, masks)

    def sample_windows(
        self, key: jax.Array, image_high: jax.Array, image_index: jax.Array
    ) -> jax.Array:
        """Draws the corners of one sample's windows: int32 [B, windows, 2]."""
        strides, kernel_size = self.backbone.stem_strides, self.backbone.stem_kernel_size
        if image_high.ndim == 6:
            height, width = image_high.shape[4] * strides[0], image_high.shape[5] * strides[1]
        else:
            height, width = image_high.shape[1:3]
        return sample_windows(
            key,
            image_high.shape[0],
            self.windows,
            (height, width),
            window_size(self.output_size, kernel_size, strides),
            self.per_image,
            self.axes,
            image_index,
        )

    def branch_features(
        self,
        number: int,
        image_low: jax.Array | None,
        image_high: jax.Array | None,
        corners: jax.Array | None,
        masks: Masks | None = None,
    ) -> jax.Array:
        """Returns what one branch brings to the join."""
        part = masks and masks.of_part(number)
        if self.branch_names[number] == "global":
            return self.branches[number](part, image_low)
        return self.branches[number](part, image_high, corners)

    def classify(self, features: Sequence[jax.Array], masks: Masks | None = None) -> jax.Array:
        """Joins the branches' features, in order, and returns float32 logits [B, num_outputs]."""
        part = masks and masks.of_part(len(self.branches))
        x = jnp.concatenate(features, axis=-1)
        if not self.joins_at_head:
            x = self.trunk(x, part)
        x = x.astype(jnp.float32)
        if part is not None and self.dropout_rate:
            kept = part.uniform(x.shape[-1]) >= self.dropout_rate
            x = jnp.where(kept, x / (1 - self.dropout_rate), 0)
        return self.classifier(x)


def create_model(backbone: Backbone, *, seed: int, **arguments: Any) -> TwoBranchNetwork:
    """Builds a `TwoBranchNetwork` under one jit, which is several times faster than eagerly.

    The initial parameters are drawn with the "rbg" generator, which compiles in half the time; they
    are the same for the same seed on the same kind of device.
    """

    @nnx.jit
    def create() -> TwoBranchNetwork:
        rngs = nnx.Rngs(jax.random.key(seed, impl="rbg"))
        return TwoBranchNetwork(backbone, rngs=rngs, **arguments)

    return create()


def _make_classifier(features: int, num_outputs: int, rngs: nnx.Rngs) -> nnx.Linear:
    """The dense layer.

    Published: uniform in +-1/sqrt(outputs), for 1,000 outputs; with a few outputs that rule would
    start far from a balanced guess, so the range stays at the published one.
    """
    limit = max(num_outputs, 1000) ** -0.5
    return nnx.Linear(
        features,
        num_outputs,
        kernel_init=lambda key, shape, dtype, **_: jax.random.uniform(
            key, shape, dtype, -limit, limit
        ),
        rngs=rngs,
    )


def _stages_before(join: str | int, stages: int) -> int:
    """Returns how many stages a branch has before the join; stages + 1 means the head too."""
    if join == "stem":
        return 0
    if join == "head":
        return stages + 1
    number = int(join) if str(join).isdigit() else 0
    if not 1 <= number <= stages:
        raise ValueError(f"join is {join!r}; use 'stem', a stage from 1 to {stages}, or 'head'")
    return number
