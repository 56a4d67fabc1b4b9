"""Networks with a global branch, a stochastic branch, or both, joined where one says."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from stochconv_jax.models.stem import GlobalConv, StochasticConv
from stochconv_jax.ops import sample_windows, window_size

BRANCHES = ("global", "stochastic")


class Backbone(Protocol):
    """What a family of networks must offer so that any two of its copies can be joined."""

    @property
    def stem_kernel_size(self) -> tuple[int, int]:
        """(height, width) of the stem's kernels."""

    @property
    def stem_strides(self) -> tuple[int, int]:
        """(vertical, horizontal) strides of the stem."""

    @property
    def stem_features(self) -> int:
        """Channels of the stem."""

    @property
    def head_features(self) -> int:
        """Channels of the pooled features."""

    @property
    def repeats(self) -> tuple[int, ...]:
        """Blocks of each stage."""

    def stage_features(self, stage: int) -> int:
        """Channels that leave a stage, counted from 1."""

    def make_stem_activation(
        self, features: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> Callable[[jax.Array, bool], jax.Array]:
        """Returns what follows the stem's convolution: a module called with (x, train)."""

    def make_stage(
        self, stage: int, in_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> nnx.List:
        """Returns a stage's blocks: modules called with (x, draw), as MBConv is."""

    def make_head(
        self, in_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> Callable[[jax.Array, bool], jax.Array]:
        """Returns the last layers and the pooling: a module called with (x, train)."""


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
          dtype: of the computation; parameters and statistics are float32.
          rngs: for the initial parameters.

        Raises:
          ValueError: an argument is out of its range.
        """
        if not branches or set(branches) - set(BRANCHES):
            raise ValueError(f"branches are {tuple(branches)}; use {' or '.join(BRANCHES)}")
        stem_features = stem_features or backbone.stem_features
        if windows and stem_features % windows:
            raise ValueError(f"{windows} windows do not divide {stem_features} kernels")
        self.backbone = backbone
        self.branch_names = tuple(branches)
        self.windows = windows or stem_features
        self.per_image = per_image
        self.axes = axes
        self.output_size = (output_size[0], output_size[1])
        stages = len(backbone.repeats)
        last = _stages_before(join, stages) if len(branches) > 1 else stages + 1
        self.branches = nnx.List(
            [
                _Branch(
                    backbone, name, stem_features, self.output_size, last, dtype=dtype, rngs=rngs
                )
                for name in branches
            ]
        )
        self.joins_at_head = last > stages
        features = backbone.head_features * len(branches)
        if not self.joins_at_head:
            joined = stem_features if last == 0 else backbone.stage_features(last)
            self.trunk = _Stages(
                backbone, last + 1, stages + 1, joined * len(branches), dtype=dtype, rngs=rngs
            )
            features = backbone.head_features
        self.set_attributes(nnx.BatchNorm, momentum=batch_norm_momentum)
        self.dropout_rate = dropout_rate
        # Published: uniform in +-1/sqrt(outputs), for 1,000 outputs; with a few outputs that rule
        # would start far from a balanced guess, so the range stays at the published one.
        limit = max(num_outputs, 1000) ** -0.5
        self.classifier = nnx.Linear(
            features,
            num_outputs,
            kernel_init=lambda key, shape, dtype, **_: jax.random.uniform(
                key, shape, dtype, -limit, limit
            ),
            rngs=rngs,
        )

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
          key: for the windows and, when training, dropout and drop-connect.
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
        masks = _Masks(mask_key, image_index) if train else None
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
        masks: "_Masks | None" = None,
    ) -> jax.Array:
        """Returns what one branch brings to the join."""
        part = masks and masks.of_part(number)
        if self.branch_names[number] == "global":
            return self.branches[number](part, image_low)
        return self.branches[number](part, image_high, corners)

    def classify(self, features: Sequence[jax.Array], masks: "_Masks | None" = None) -> jax.Array:
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


class _Masks:
    """The randomness of one training step, drawn for each image from its own index."""

    def __init__(self, key: jax.Array, image_index: jax.Array):
        self.key = key
        self.image_index = image_index

    def of_part(self, number: int) -> "_Masks":
        """Returns the masks of one branch, or of the trunk."""
        return _Masks(jax.random.fold_in(self.key, number), self.image_index)

    def uniform(self, count: int) -> jax.Array:
        """Draws [B, count], uniform in [0, 1)."""
        keys = jax.vmap(jax.random.fold_in, (None, 0))(self.key, self.image_index)
        return jax.vmap(lambda key: jax.random.uniform(key, (count,)))(keys)


class _Stages(nnx.Module):
    """Stages `first` to `last` of a backbone; one past its final stage stands for the head."""

    def __init__(
        self,
        backbone: Backbone,
        first: int,
        last: int,
        in_features: int,
        *,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.stages: nnx.List = nnx.List()
        for stage in range(first, min(last, len(backbone.repeats)) + 1):
            self.stages.append(backbone.make_stage(stage, in_features, dtype=dtype, rngs=rngs))
            in_features = backbone.stage_features(stage)
        self.has_head = last > len(backbone.repeats)
        if self.has_head:
            self.head = backbone.make_head(in_features, dtype=dtype, rngs=rngs)

    def __call__(self, x: jax.Array, masks: _Masks | None) -> jax.Array:
        blocks = [block for stage in self.stages for block in stage]
        draws = None if masks is None else masks.of_part(0).uniform(len(blocks))
        for number, block in enumerate(blocks):
            x = block(x, None if draws is None else draws[:, number])
        return self.head(x, masks is not None) if self.has_head else x


class _Branch(nnx.Module):
    """A stem and the stages up to the join."""

    def __init__(
        self,
        backbone: Backbone,
        name: str,
        features: int,
        output_size: tuple[int, int],
        last: int,
        *,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        kernel_size, strides = backbone.stem_kernel_size, backbone.stem_strides
        self.conv = (
            GlobalConv(features, kernel_size, strides, dtype=dtype, rngs=rngs)
            if name == "global"
            else StochasticConv(features, kernel_size, strides, output_size, dtype=dtype, rngs=rngs)
        )
        self.activation = backbone.make_stem_activation(features, dtype=dtype, rngs=rngs)
        self.stages = _Stages(backbone, 1, last, features, dtype=dtype, rngs=rngs)

    def __call__(self, masks: _Masks | None, *inputs: Any) -> jax.Array:
        x = self.activation(self.conv(*inputs), masks is not None)
        return self.stages(x, masks)
