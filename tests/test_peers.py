"""Megapixel digits: the task's rules, and that the peers' methods do what their papers say."""

import gzip
import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from support import noise

from benchmarks.peers import __main__ as peers
from benchmarks.peers.attention_sampling import AttentionSampling, cut, expectation, sample
from benchmarks.peers.digits import MNIST_FILES, mnist, small_digits
from benchmarks.peers.methods import METHODS
from benchmarks.peers.narrow_resnet import narrow_resnet
from benchmarks.peers.patch_selection import PatchSelection, grid
from benchmarks.peers.scenes import make_scenes
from benchmarks.peers.setting import PUBLISHED, QUICK
from stochconv_jax.errors import InputError

DIGITS = {split: small_digits(split, 8) for split in ("train", "test")}


def scenes(seed=0, strokes=6, count=30):
    return make_scenes(DIGITS["train"], count, 80, strokes, seed)


def test_three_of_five_digits_are_of_the_images_class_and_none_overlap():
    made = scenes()
    classes = made.digits.labels[made.chosen]
    assert classes.shape == (30, 5)
    assert ((classes == made.labels[:, None]).sum(axis=1) == 3).all()
    assert len(set(made.labels)) > 5
    for corners in made.corners:
        for one, other in itertools.combinations(corners, 2):
            assert np.abs(one - other).max() >= 8
    assert made.corners.min() >= 0
    assert made.corners.max() <= 72


def test_digits_are_whole_and_lie_over_the_strokes():
    made = scenes()
    for index in range(5):
        image = made.image(index)
        for digit, (row, column) in zip(made.chosen[index], made.corners[index], strict=True):
            window = image[row : row + 8, column : column + 8]
            np.testing.assert_array_equal(window, made.digits.images[digit])
    assert made.strokes.shape == (30, 6)
    without = scenes(strokes=0).image(0)
    assert (without > 0).sum() <= 5 * 64 < without.size


def test_digits_to_test_with_are_none_of_those_to_train_with():
    pixels = {split: {image.tobytes() for image in DIGITS[split].images} for split in DIGITS}
    assert not pixels["train"] & pixels["test"]
    assert sum(len(digits.labels) for digits in DIGITS.values()) == 1797
    assert small_digits("test", 28).images.shape[1:] == (28, 28)


def test_a_seed_says_every_bit_and_another_seed_others():
    first, again, other = (scenes(seed).batch(np.arange(4), 34) for seed in (0, 0, 1))
    assert first["image_low"].shape == (4, 34, 34, 1)
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert (first["image_high"] != other["image_high"]).any()


def test_the_published_sizes():
    assert (PUBLISHED.low, PUBLISHED.canvas // PUBLISHED.patch) == (180, 30)
    # A digit is as wide in the small image as published: 28 * 0.12 pixels.
    assert QUICK.digit * QUICK.low / QUICK.canvas == pytest.approx(28 * 0.12, rel=0.03)
    assert QUICK.patch / QUICK.digit == pytest.approx(50 / 28, rel=0.03)


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    content = header + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def test_mnist_is_read_gzipped_or_not_and_refused_where_it_is_damaged(tmp_path):
    images = np.arange(3 * 28 * 28).reshape(3, 28, 28) % 256
    names = MNIST_FILES["train"]
    write_idx(tmp_path / names[0], images)
    write_idx(tmp_path / f"{names[1]}.gz", np.array([7, 0, 9]))
    found = mnist(tmp_path, "train", 28)
    np.testing.assert_array_equal(found.images, images)
    assert found.labels.tolist() == [7, 0, 9]
    assert mnist(tmp_path, "train", 8).images.shape == (3, 8, 8)
    with pytest.raises(InputError, match="t10k-images-idx3-ubyte is missing"):
        mnist(tmp_path, "test", 28)
    (tmp_path / names[0]).write_bytes((tmp_path / names[0]).read_bytes()[:-1])
    with pytest.raises(InputError, match="no whole idx file"):
        mnist(tmp_path, "train", 28)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_attention_sampling_and_its_gradient_are_unbiased(count):
    """Over every order in which places can be drawn, weighted by its probability."""
    rng = np.random.default_rng(0)
    logits, features, towards = (
        rng.normal(size=size).astype(np.float32) for size in (4, (4, 3), 3)
    )

    def whole(logits, features):
        return towards @ (jax.nn.softmax(logits) @ features)

    def sampled(logits, features, order):
        attention = jax.nn.softmax(logits)[order]
        return towards @ expectation(attention[None], features[order][None])[0]

    orders = np.array(list(itertools.permutations(range(4), count)))
    attention = np.asarray(jax.nn.softmax(logits))
    drawn = attention[orders]
    left = 1 - np.cumsum(drawn, axis=1) + drawn
    probability = (drawn / left).prod(axis=1)
    assert probability.sum() == pytest.approx(1)
    both = jax.vmap(jax.value_and_grad(sampled, (0, 1)), (None, None, 0))
    found = jax.jit(both)(logits, features, orders)
    expected = jax.jit(jax.value_and_grad(whole, (0, 1)))(logits, features)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(np.tensordot(probability, one, 1), other, atol=1e-5)


def test_places_are_drawn_without_replacement_in_proportion_to_the_attention():
    attention = jnp.array([0.5, 0.3, 0.15, 0.05])
    keys = jax.random.split(jax.random.key(0), 4000)
    places = np.asarray(jax.jit(sample, static_argnums=2)(jnp.tile(attention, (4000, 1)), keys, 3))
    assert all(len(set(drawn)) == 3 for drawn in places[:100].tolist())
    first = np.bincount(places[:, 0], minlength=4) / 4000
    np.testing.assert_allclose(first, attention, atol=0.03)
    second = np.bincount(places[places[:, 0] == 0, 1], minlength=4) / (places[:, 0] == 0).sum()
    np.testing.assert_allclose(second, [0, 0.6, 0.3, 0.1], atol=0.04)


def test_patches_are_cut_around_their_places_and_are_black_outside():
    image = np.arange(1, 1 + 24 * 24).reshape(1, 24, 24, 1)
    patches = np.asarray(cut(jnp.array(image), jnp.array([[0, 4 * 8 + 5]]), (8, 8), 4))
    assert patches.shape == (1, 2, 4, 4, 1)
    # Places are 3 pixels wide: the centre of the first is pixel 1, of (4, 5) pixel (13, 16).
    np.testing.assert_array_equal(patches[0, 1], image[0, 11:15, 14:18])
    np.testing.assert_array_equal(patches[0, 0, 1:, 1:], image[0, :3, :3])
    assert (patches[0, 0, 0] == 0).all()


def selection(heads, iteration):
    @nnx.jit
    def make():
        sizes = {"patch": 8, "memory": 3, "iteration": iteration, "heads": heads}
        return PatchSelection(narrow_resnet((4, 8), 1, small=True), **sizes, rngs=nnx.Rngs(0))

    return make()


@pytest.mark.parametrize("iteration", [4, 13])
def test_patch_selection_keeps_the_best_of_all_patches(iteration):
    images = jnp.array(scenes(count=2).batch(np.arange(2), 34)["image_high"][:, :32, :32])
    patches = grid(images, 8)
    np.testing.assert_array_equal(patches[1, 6], images[1, 8:16, 16:24])
    model = selection(1, iteration)

    @nnx.jit
    def both(model, patches):
        embedded = model.embed(patches, False) + model.positions(16)
        best = jax.lax.top_k(model.pooling.scores(embedded), 3)[1]
        return best, model.select(patches, jax.random.permutation(jax.random.key(1), 16))

    best, found = both(model, patches)
    np.testing.assert_array_equal(np.sort(found), np.sort(best))


def test_patch_selection_learns_from_the_kept_patches_alone():
    model = selection(8, 25)
    graph, state = nnx.split(model)
    # Not black anywhere, where a rectifier that begins at zero would hide the gradient.
    images = jnp.array(noise(0, 2, 40, 40, 1), jnp.float32)

    @jax.jit
    @jax.grad
    def gradient(images):
        return nnx.merge(graph, state)(None, images, jax.random.key(0), None).sum()

    patches = np.abs(np.asarray(grid(gradient(images), 8))).sum(axis=(2, 3, 4))
    assert ((patches > 0).sum(axis=1) == 3).all()


def test_attention_sampling_draws_by_image_not_by_batch():
    model = nnx.jit(lambda: AttentionSampling(14, 4, nnx.Rngs(0)))()
    batch = scenes(count=4).batch(np.arange(4), 34)
    call = nnx.jit(lambda model, low, high, index: model(low, high, jax.random.key(3), index))
    images = (batch["image_low"], batch["image_high"])
    whole = call(model, *images, batch["index"])
    half = call(model, *(image[2:] for image in images), batch["index"][2:])
    np.testing.assert_allclose(whole[2:], half, atol=1e-5)


def test_the_command_keeps_a_table_and_a_picture(tmp_path):
    check_command(["attention sampling", "plain, small image"], tmp_path)


def check_command(methods, tmp_path):
    small = ["--canvas=56", "--train=16", "--test=20", "--epochs=1"]
    peers.main([*small, f"--results={tmp_path}", "--methods", *methods])
    (path,) = tmp_path.rglob("*.json")
    rows = json.loads(path.read_text())["rows"]
    assert [row["method"] for row in rows] == methods
    for row in rows:
        assert row["from %"] < row["accuracy %"] + 1e-9
        assert row["accuracy %"] < row["to %"] + 1e-9
        assert row["MFLOPs an image"] > 1
        assert row["step MB"] > 1
    assert path.with_suffix(".png").stat().st_size > 10_000


def test_mistakes_are_told(tmp_path):
    for arguments, message in (
        (["--canvas", "60"], "no multiple of 14"),
        (["--canvas", "28"], "too small"),
        (["--train", "3"], "use at least 16"),
        (["--seeds", "0"], "use at least 1"),
        (["--mnist", str(tmp_path)], "missing"),
    ):
        with pytest.raises(InputError, match=message):
            peers.main([*arguments, "--methods", *METHODS])
