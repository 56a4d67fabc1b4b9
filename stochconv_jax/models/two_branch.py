"""Networks of a global, a stochastic and a metadata branch, or some, joined where one says."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from stochconv_jax.models.backbone import Backbone
from stochconv_jax.models.branch import (
    KINDS,
    METADATA,
    METADATA_FEATURES,
    Batch,
    BranchOutput,
    make_branch,
    unique_names,
)
from stochconv_jax.models.context import Context
from stochconv_jax.models.draw_pooling import POOLINGS
from stochconv_jax.models.stage_outputs import StageOutputs
from stochconv_jax.models.stages import Stages
from stochconv_jax.models.window_sampler import make_window_sampler

BRANCHES = ("global", "stochastic")


class Outputs(NamedTuple):
    """What one pass over a batch gives.

    Attributes:
      logits: float32 [B, num_outputs].
      corners: int32 [B, G, 2] of each branch that draws windows, by its name.
      stages: the outputs that were asked for, by name.
    """

    logits: jax.Array
    corners: dict[str, jax.Array]
    stages: dict[str, jax.Array]


class TwoBranchNetwork(nnx.Module):
    """An image classifier that sees the whole image small and random windows at full detail.

    Each branch has a stem and the backbone's stages up to the join; there their channels are
    concatenated and one trunk goes on. `join="stem"` is the paper's stochastic stem, `join=3` its
    stochastic skip, `join="head"` its full split: whole backbones, features concatenated before
    dropout and the dense layer. `branches=("global",)` is the plain network,
    `("stochastic",)` the pure stochastic one, `("global", "global")` two ordinary branches.
    "metadata" beside them, or alone, is a small dense network on what a table knows of the image.

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
        placement: str = "independent",
        pooled_draws: int = 1,
        draw_pooling: str = "mean",
        dropout_rate: float = 0.3,
        batch_norm_momentum: float = 0.99,
        metadata_inputs: int = 1,
        remat: bool = False,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        """Builds the network; eager initialisation is slow, so prefer `create_model`.

        Args:
          backbone: what branches and trunk are made of, such as BACKBONES["efficientnet_b0"].
          branches: "global", "stochastic" or "metadata" for each branch, the last one once at most.
          join: "stem", the number of the last stage before the join, or "head".
          num_outputs: logits per image.
          output_size: (height, width) of the stochastic stem's map; where the branches join before
            the head it must be the global stem's: the small image's by the stem's strides, rounded
            up.
          stem_features: kernels of each stem; the backbone's own number where 0.
          windows: windows per image, dividing `stem_features`; one window per kernel where 0.
          per_image: False draws the windows once per batch.
          axes: "independent" or "diagonal" windows.
          placement: "independent"; "even", the windows and draws of an image spread over it
            together; or "guided" by what the global branch finds, which asks for join="head".
          pooled_draws: draws of windows in one pass, whose features are pooled before the
            classifier; more than 1 asks for join="head".
          draw_pooling: "mean", or "attention" with weights that are learnt.
          dropout_rate: of the features before the dense layer.
          batch_norm_momentum: what is kept of the running statistics each step, by Flax's and
            TensorFlow's convention (1 - PyTorch's); 0.99 as published for long training, less
            where a run makes fewer than a few thousand steps.
          metadata_inputs: numbers that a metadata branch is given of each image.
          remat: keep only what enters each block for its gradient, and compute the block again in
            the backward pass: less memory, more time.
          dtype: of the computation; parameters and statistics are float32.
          rngs: for the initial parameters.

        Raises:
          ValueError: an argument is out of its range.
        """
        if not branches or set(branches) - set(KINDS):
            raise ValueError(f"branches are {tuple(branches)}; use {' or '.join(KINDS)}")
        pictorial = [kind for kind in branches if kind != METADATA]
        if len(branches) - len(pictorial) > 1:
            raise ValueError("there are two metadata branches; one is given all that is known")
        stem_features = stem_features or backbone.stem_features
        if draw_pooling not in POOLINGS:
            raise ValueError(f"draw_pooling is {draw_pooling!r}; use {' or '.join(POOLINGS)}")
        stages = len(backbone.repeats)
        last = _stages_before(join, stages) if len(branches) > 1 else stages + 1
        if last <= stages and (pooled_draws > 1 or placement == "guided"):
            raise ValueError(f"pooled draws and guided windows ask for join 'head', not {join!r}")
        if placement == "guided" and "global" not in branches:
            raise ValueError("guided windows ask for a global branch, whose evidence they follow")
        if last <= stages and METADATA in branches:
            raise ValueError(f"a metadata branch has no map; join at 'head', not at {join!r}")
        made: dict[str, Any] = {"remat": remat, "dtype": dtype, "rngs": rngs}
        looks: dict[str, Any] = {
            "output_size": tuple(output_size),
            "sampler": make_window_sampler(windows or stem_features, per_image, axes, placement),
            "pooled_draws": pooled_draws,
            "draw_pooling": draw_pooling,
        }
        self.branch_names = unique_names(branches)
        self.branches: nnx.Dict = nnx.Dict()
        for name, kind in zip(self.branch_names, branches, strict=True):
            self.branches[name] = make_branch(
                kind, backbone, stem_features, last, looks, metadata_inputs, made
            )
        self.joins_at_head = last > stages
        final = backbone.stage_features(stages)
        features = backbone.head_features(final) * len(pictorial)
        features += METADATA_FEATURES * (METADATA in branches)
        if not self.joins_at_head:
            joined = (
                backbone.stem_tail_features(stem_features)
                if last == 0
                else backbone.stage_features(last)
            )
            joined *= len(branches)
            self.trunk = Stages(backbone, last + 1, stages + 1, joined, **made)
            features = backbone.head_features(joined if last == stages else final)
        self.set_attributes(nnx.BatchNorm, momentum=batch_norm_momentum, raise_if_not_found=False)
        self.dropout_rate = dropout_rate
        self.classifier = backbone.make_classifier(features, num_outputs, rngs)
        if METADATA in branches and not isinstance(self.classifier, nnx.Linear):
            raise ValueError("metadata join pooled features, and this backbone's classifier pools")

    def __call__(
        self,
        image_low: jax.Array | None,
        image_high: jax.Array | None,
        key: jax.Array,
        image_index: jax.Array | None = None,
        train: bool = False,
        draw: int | jax.Array = 0,
        metadata: jax.Array | None = None,
    ) -> jax.Array:
        """Classifies images with one draw of windows.

        Args:
          image_low: [B, h, w, 3], pixels of 0 to 255; unused without a global branch.
          image_high: [B, H, W, 3] or its polyphase planes, pixels of 0 to 255; unused without a
            stochastic branch.
          key: for the windows and, when training, dropout and drop path.
          image_index: int [B], folded into the key, so that what an image meets does not depend on
            its place in a batch; the place itself where None.
          train: use and update the batch's statistics, drop features and blocks.
          draw: int [], which draw of windows it is; even draws of one key go on with one sequence.
          metadata: [B, M], what is known of the images; unused without a metadata branch.

        Returns:
          float32 logits [B, num_outputs].

        Raises:
          ValueError: what a branch looks at is not given.
        """
        batch = {"image_low": image_low, "image_high": image_high, "metadata": metadata}
        given = [array for array in batch.values() if array is not None]
        if not given:
            raise ValueError(
                "neither image_low nor image_high is given; give what the branches see"
            )
        if image_index is None:
            image_index = jnp.arange(given[0].shape[0])
        return self.forward(batch, Context.of_pass(key, image_index, train, draw)).logits

    def forward(
        self,
        batch: Batch,
        context: Context,
        given: Mapping[str, BranchOutput] | None = None,
        stages: Collection[str] = (),
        replaced: Mapping[str, jax.Array] | None = None,
    ) -> Outputs:
        """Passes a batch through the network: training, every draw and explanations alike.

        Args:
          batch: what the branches look at, as the pipeline makes it.
          context: of the pass.
          given: what branches bring to the join, by name, where that is known already.
          stages: names of outputs to return as well; see `StageOutputs`.
          replaced: what goes on in place of outputs of stages, by their names.

        Raises:
          ValueError: what a branch looks at is missing, or there is no such stage.
        """
        outputs = StageOutputs(stages, replaced)
        found = dict(given or {})
        for name in sorted(self.branch_names, key=lambda name: self.branches[name].draws):
            if name not in found:
                branch, part = self.branches[name], context.part(self.branch_names.index(name))
                evidence = self.evidence(found) if branch.guided else None
                found[name] = branch(batch, part, name, outputs, evidence)
        corners = {
            name: output.corners for name, output in found.items() if output.corners is not None
        }
        joined = [found[name].features for name in self.branch_names]
        logits = self._classify(joined, context.part(len(self.branch_names)), outputs)
        outputs.check()
        return Outputs(logits, corners, outputs.kept)

    def fixed_outputs(self, batch: Batch, context: Context) -> dict[str, BranchOutput]:
        """Returns what the branches that draw nothing bring to the join, by name."""
        return {
            name: self.branches[name](batch, context, name, StageOutputs())
            for name in self.branch_names
            if not self.branches[name].draws
        }

    def evidence(self, found: Mapping[str, BranchOutput]) -> jax.Array:
        """Returns how much each place of the global branch's last map moves the logits.

        With m_k(p) the class activation map of logit k (Zhou et al. 2016), the head and the
        classifier applied to each place by itself: e(p) = |m(p) - mean over places of m|, the norm
        over k.

        Args:
          found: outputs of the branches, the global one's among them.

        Returns:
          float32 [B, h, w], without gradient.

        Raises:
          ValueError: the classifier is not one dense layer on pooled features.
        """
        last_map: Any = found["global"].last_map
        batch, height, width, _ = last_map.shape
        places = last_map.reshape(batch * height * width, 1, 1, -1)
        features = self.branches["global"].stages.head(places, False)
        if not isinstance(self.classifier, nnx.Linear) or features.ndim != 2:
            raise ValueError("guided windows ask for a dense classifier on pooled features")
        earlier = self.branch_names[: self.branch_names.index("global")]
        widths = [METADATA_FEATURES if name == METADATA else features.shape[1] for name in earlier]
        before = sum(widths)
        kernel = self.classifier.kernel[before : before + features.shape[1]]
        maps = (features.astype(jnp.float32) @ kernel).reshape(batch, height * width, -1)
        distance = jnp.linalg.norm(maps - maps.mean(axis=1, keepdims=True), axis=-1)
        return jax.lax.stop_gradient(distance).reshape(batch, height, width)

    @property
    def draws(self) -> bool:
        """Whether another draw of windows gives other logits."""
        return any(branch.draws for branch in self.branches.values())

    def _classify(
        self, features: Sequence[jax.Array], context: Context, outputs: StageOutputs
    ) -> jax.Array:
        x = jnp.concatenate(features, axis=-1)
        if not self.joins_at_head:
            x = self.trunk(x, context, "trunk", outputs)
        x = x.astype(jnp.float32)
        if context.train and self.dropout_rate:
            kept = context.uniform(x.shape[-1]) >= self.dropout_rate
            # Whole channels, where the head of the family leaves the pooling to its classifier.
            kept = jnp.expand_dims(kept, tuple(range(1, x.ndim - 1)))
            x = jnp.where(kept, x / (1 - self.dropout_rate), 0)
        if isinstance(self.classifier, nnx.Linear):
            return self.classifier(x)
        return self.classifier(x, context.train)


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
