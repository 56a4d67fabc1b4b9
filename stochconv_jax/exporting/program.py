"""The program that is exported: from framed photographs to the logits of every draw."""

import dataclasses
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from stochconv_jax.errors import InputError
from stochconv_jax.exporting.small_image import small_images
from stochconv_jax.inference.predict import draw_logits
from stochconv_jax.inference.trained_network import TrainedNetwork
from stochconv_jax.keys import Purpose
from stochconv_jax.models import TwoBranchNetwork
from stochconv_jax.models.branch import METADATA, StochasticBranch
from stochconv_jax.models.context import Context
from stochconv_jax.ops.method import portable_forms
from stochconv_jax.runs.run import Run

Windows = Literal["inside", "given"]


class Input(NamedTuple):
    """What a program is given of every image: `shape` leaves out the batch."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    meaning: str


@dataclasses.dataclass(frozen=True)
class Program:
    """A function of arrays alone; the weights are within it.

    Attributes:
      inputs: what it takes, in order.
      call: from arrays [B, *shape] to float32 logits [B, K, outputs].
      draws: K, of windows; 1 for a network that draws none.
    """

    inputs: tuple[Input, ...]
    call: Callable[..., jax.Array]
    draws: int


@dataclasses.dataclass(frozen=True)
class GivenWindows:
    """Windows that lie where one says: corners int32 [B, draws, windows, 2]."""

    corners: jax.Array
    guided = False

    @property
    def windows(self) -> int:
        """Of each image and draw."""
        return self.corners.shape[2]

    def __call__(
        self,
        context: Context,
        image_size: tuple[int, int],
        window_size: tuple[int, int],
        evidence: jax.Array | None = None,
    ) -> jax.Array:
        """Returns the corners of the context's draw, int32 [B, windows, 2]."""
        return self.corners[:, context.draw]


class KeylessContext(Context):
    """The context of a pass that draws nothing, and computes no keys for it."""

    def part(self, number: int) -> Context:
        """Returns itself, for every part of the network."""
        return self


def make_program(network: TrainedNetwork, windows: Windows, unrolled: bool = False) -> Program:
    """Returns the program of a run's network.

    Args:
      network: with its config's number of draws and placement of windows.
      windows: "inside" draws them from each image's `index`, as prediction does; "given" takes
        their `corners`.
      unrolled: writes the draws out one after the other, every operation in the form that other
        formats know; windows must be given.

    Raises:
      InputError: guided windows are asked to be given, or the small image is the larger one.
    """
    run, state = network.run, network.state
    model = run.abstract_model(run.config.eval.placement)
    graph, key = nnx.graphdef(model), run.key(Purpose.EVALUATION)
    draws = run.config.eval.samples if model.draws else 1
    inputs = _inputs(run, model, windows, draws)
    names = [given.name for given in inputs]

    def call(*arrays: jax.Array) -> jax.Array:
        given = dict(zip(names, arrays, strict=True))
        own = nnx.merge(graph, *state)
        batch = _views(given["images"], run) if "images" in given else {}
        batch |= {"metadata": given["metadata"]} if "metadata" in given else {}
        # Where no windows are drawn inside, nothing depends on it.
        batch["index"] = given.get("index", jnp.zeros(arrays[0].shape[0], jnp.int32))
        if "corners" in given:
            for branch in _drawing(own):
                branch.sampler = GivenWindows(given["corners"])
        if unrolled:
            return _unrolled_logits(own, batch, key, draws)
        return draw_logits(own, batch, key, draws)

    return Program(inputs, call, draws)


def _unrolled_logits(
    model: TwoBranchNetwork, batch: dict[str, jax.Array], key: jax.Array, draws: int
) -> jax.Array:
    """What `draw_logits` returns where windows are given, without a loop."""
    contexts = [KeylessContext(key, key, batch["index"], draw=draw) for draw in range(draws)]
    with portable_forms():
        fixed = model.fixed_outputs(batch, contexts[0])
        passes = [model.forward(batch, context, fixed).logits for context in contexts]
        return jnp.stack(passes, axis=1)


def _views(images: jax.Array, run: Run) -> dict[str, jax.Array]:
    """What a network sees of framed photographs, uint8 [B, H, W, 3]."""
    data = run.config.data
    if any(data.crop_size):
        height, width = data.crop_size
        top, left = (images.shape[1] - height) // 2, (images.shape[2] - width) // 2
        images = images[:, top : top + height, left : left + width]
    seen = {"image_high": images} if run.sees_high else {}
    if "global" in run.config.model.branches:
        seen["image_low"] = small_images(images, tuple(data.low_size))
    return seen


def _drawing(model: TwoBranchNetwork) -> list[StochasticBranch]:
    """The branches that look through windows; of several, all look through the same ones."""
    return [branch for branch in model.branches.values() if isinstance(branch, StochasticBranch)]


def _inputs(run: Run, model: TwoBranchNetwork, windows: Windows, draws: int) -> tuple[Input, ...]:
    inputs = []
    if run.sees_pixels:
        framed = run.framing.size
        inputs.append(Input("images", "uint8", (*framed, 3), "RGB, framed"))
    for branch in _drawing(model)[:1]:
        if windows == "inside":
            inputs.append(Input("index", "int32", (), "of the windows; see image_index"))
            continue
        if branch.guided:
            raise InputError(
                "the windows are guided by what the network itself finds; export them with "
                "--format=stablehlo --windows=inside"
            )
        shape = (draws * branch.pooled_draws, branch.sampler.windows, 2)
        inputs.append(Input("corners", "int32", shape, "(row, column) of the windows' corners"))
    if METADATA in run.config.model.branches:
        meaning = "what the table says of the image, see metadata"
        inputs.append(Input("metadata", "float32", (run.metadata_inputs,), meaning))
    return tuple(inputs)
