"""Networks of any family joined anywhere, in shapes only."""

import dataclasses

import jax
import jax.numpy as jnp

from stochconv_jax.models import BACKBONES, Context, TwoBranchNetwork
from stochconv_jax.models.creation import initial_rngs


def check_joins(name, joins):
    """Checks the shapes of a training pass of both branches, joined at each of `joins`."""
    backbone = BACKBONES[name]
    if backbone.stem_padding == "VALID":
        backbone = dataclasses.replace(backbone, padding="SYMMETRIC")
    # One block a stage, as the joins do not depend on how many there are.
    if name.startswith("resne"):
        backbone = dataclasses.replace(backbone, repeats=(1, 1, 1, 1))
    side = 64 // backbone.stem_strides[0]
    batch = {"image_low": jnp.zeros((2, 64, 64, 3)), "image_high": jnp.zeros((2, 160, 160, 3))}
    context = Context.of_pass(jax.random.key(0), jnp.arange(2), train=True)

    def build_and_look(join):
        model = TwoBranchNetwork(
            backbone, join=join, output_size=(side, side), num_outputs=3, rngs=initial_rngs(0)
        )
        found = model.forward(batch, context)
        return found.logits, found.corners["stochastic"]

    for join in joins:
        logits, corners = jax.eval_shape(lambda join=join: build_and_look(join))
        assert logits.shape == (2, 3)
        assert corners.shape == (2, backbone.stem_features, 2)


def all_joins(name):
    """Returns every join of a family."""
    return "stem", *range(1, len(BACKBONES[name].repeats) + 1), "head"
