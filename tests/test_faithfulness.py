"""What is hidden from a network, and what its score does as more and more of an image is."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import drawn
from toy_family import Toy

from benchmarks.explanations import methods_table, on_the_lesion
from stochconv_jax.explanations.faithfulness import faithfulness_curves
from stochconv_jax.explanations.maps import integrated_gradients_map
from stochconv_jax.explanations.views import class_scores, hide
from stochconv_jax.inference.predict import draw_logits
from stochconv_jax.ops import images_from_planes, polyphase

KEY = jax.random.key(5)
HIGH = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3)).astype(np.uint8)
BATCH = {
    "image_low": HIGH[:, ::2, ::2],
    "image_high": polyphase(HIGH, Toy.stem_strides),
    "index": np.arange(6, dtype=np.int32),
}
TARGETS = jnp.array([0, 1, 2, 0, 1, 2])


def test_what_is_hidden_is_hidden_from_both_branches_alike():
    kept = jnp.zeros((6, 4, 4)).at[:, 1, 2].set(1)
    hidden = hide(BATCH, kept, jnp.array([10.0, 20.0, 30.0]))
    stays = np.zeros((64, 64), bool)
    stays[16:32, 32:48] = True
    expected = np.where(stays[..., None], HIGH, np.uint8([10, 20, 30]))
    np.testing.assert_array_equal(images_from_planes(hidden["image_high"]), expected)
    np.testing.assert_array_equal(hidden["image_low"], expected[:, ::2, ::2])
    assert hidden["image_low"].dtype == hidden["image_high"].dtype == np.uint8


def test_a_class_is_spoken_for_by_its_logit():
    logits = jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    np.testing.assert_array_equal(class_scores(logits, jnp.array([2, 0])), [3, 4])
    np.testing.assert_array_equal(class_scores(logits[:, :1], jnp.array([1, 0])), [1, -4])


def test_curves_begin_and_end_at_the_image_and_at_nothing_and_tell_maps_apart():
    model = drawn(Toy(), num_outputs=3, output_size=(4, 8))

    @jax.jit
    def found(batch):
        maps = integrated_gradients_map(model, batch, KEY, TARGETS, 2)["map"]
        curves = [
            faithfulness_curves(model, batch, KEY, TARGETS, each, 2) for each in (maps, -maps)
        ]
        return curves, class_scores(draw_logits(model, batch, KEY, 2).mean(axis=1), TARGETS)

    (right, wrong), whole = found(BATCH)
    blank, _ = found(hide(BATCH, jnp.zeros((6, 1, 1)), jnp.full(3, 127.5)))
    nothing = blank[0].deletion[:, 0]
    for curve, first, last in ((right.deletion, whole, nothing), (right.insertion, nothing, whole)):
        np.testing.assert_allclose(curve[:, 0], first, atol=1e-5)
        np.testing.assert_allclose(curve[:, -1], last, atol=1e-5)
    assert right.deletion_mean.mean() < wrong.deletion_mean.mean()
    assert right.insertion_mean.mean() > wrong.insertion_mean.mean()


def test_noise_points_at_the_lesion_as_often_as_its_share_of_the_image():
    maps = np.random.default_rng(0).uniform(size=(2000, 56, 84))
    masks = np.zeros((2000, 112, 168), bool)
    masks[:, :28, 42:] = True
    found = on_the_lesion(maps, masks)
    share = masks[0].mean()
    assert abs(found["pointing"].mean() - share) < 0.03
    assert abs(found["inside"].mean() - share) < 0.01


def test_the_highest_place_of_a_coarse_map_is_the_middle_of_its_cell():
    maps = -np.ones((1, 4, 4))
    maps[0, 1, 2] = 1
    mask = np.zeros((1, 64, 64), bool)
    mask[0, 16:32, 32:48] = True
    found = on_the_lesion(maps, mask)
    assert found["pointing"] == 1
    assert found["inside"] > 0.75


@pytest.mark.parametrize("name", ["lesions", "shuffled", "ham10000"])
def test_the_documented_table_is_the_kept_one(name):
    docs = pathlib.Path(__file__).parents[1] / "docs"
    kept = json.loads((docs / "results" / f"explanations_{name}.json").read_text())
    assert methods_table(kept["methods"]).strip() in (docs / "explanations.md").read_text()
