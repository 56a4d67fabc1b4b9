import ast
import dataclasses
import itertools
import pathlib

import numpy as np
import pytest
from PIL import Image

from configs import base
from stochconv_jax.data.dataset.image_dataset import Example, ImageDataset
from stochconv_jax.data.framing import Framing, encode_jpeg
from stochconv_jax.data.load import load_dataset
from stochconv_jax.data.pipeline.batches import Pipeline, decode
from stochconv_jax.data.pipeline.color import ColorShift
from stochconv_jax.data.pipeline.corruption import Blur, Cutout, Noise
from stochconv_jax.data.pipeline.warp import Warp
from stochconv_jax.errors import InputError
from stochconv_jax.ops import images_from_planes

ROOT = pathlib.Path(__file__).parents[1]


def make_dataset(count=23, validation=7, size=(32, 48)):
    rng = np.random.default_rng(0)
    records = [
        {"image": encode_jpeg(Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)))}
        for _ in range(count)
    ]
    examples = tuple(Example(f"i{n}", "ab"[n % 2], "", "") for n in range(count))
    splits = np.array(["validation"] * validation + ["train"] * (count - validation))
    return ImageDataset(records, examples, ("a", "b"), splits, Framing(size, (1, 1)))


class Doubled:
    """The simplest sampler that visits images again: each pass is every image twice."""

    def __init__(self, indices, seed):
        self.indices = indices

    def __call__(self, number):
        return np.roll(np.repeat(self.indices, 2), number)


def collect(batches, count):
    return list(itertools.islice(batches, count))


def test_training_continues_exactly_from_any_step():
    pipeline = Pipeline(make_dataset(), (8, 12), transforms=(Warp(),))
    straight = collect(pipeline.training_batches(5, seed=1, first_step=0), 9)
    resumed = collect(pipeline.training_batches(5, seed=1, first_step=4), 5)
    for one, other in zip(straight[4:], resumed, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_a_pass_visits_images_once_and_the_next_one_sees_them_otherwise():
    pipeline = Pipeline(make_dataset(), (8, 12), transforms=(Warp(),))
    assert pipeline.training_steps(5) == 3
    batches = collect(pipeline.training_batches(5, seed=1, first_step=0), 6)
    first, second = (
        np.concatenate([b["index"] for b in part]) for part in (batches[:3], batches[3:])
    )
    assert len(set(first)) == len(set(second)) == 15
    assert set(first) | set(second) <= set(range(7, 23))
    assert (first != second).any()
    views = {}
    for number, batch in enumerate(batches):
        for index, image in zip(batch["index"], batch["image_low"], strict=True):
            views.setdefault(index, {})[number // 3] = image
    twice = [view for view in views.values() if len(view) == 2]
    assert len(twice) > 10
    assert all((view[0] != view[1]).any() for view in twice)


def test_another_seed_gives_another_order():
    pipeline = Pipeline(make_dataset(), (8, 12))
    orders = [next(pipeline.training_batches(16, seed, 0))["index"] for seed in (1, 2)]
    assert (orders[0] != orders[1]).any()


@pytest.mark.parametrize("batch_size", [1, 3, 7, 16])
def test_evaluation_counts_every_image_once_unaugmented(batch_size):
    dataset = make_dataset()
    batches = list(Pipeline(dataset, (8, 12)).evaluation_batches("validation", batch_size))
    assert all(len(batch["mask"]) == batch_size for batch in batches)
    kept = np.concatenate([batch["index"][batch["mask"]] for batch in batches])
    np.testing.assert_array_equal(kept, np.arange(7))
    image = decode(dataset.records[0]["image"])
    planes = batches[0]["image_high"][0]
    assert planes.shape == (2, 2, 3, 16, 24)
    np.testing.assert_array_equal(planes[1, 0, 2], image[1::2, ::2, 2])


def test_the_small_image_is_the_large_one_shrunk():
    batch = next(Pipeline(make_dataset(size=(64, 64)), (16, 16)).training_batches(16, 0, 0))
    large = batch["image_high"].astype(float).mean(axis=(1, 2, 3))
    coarse = large.reshape(16, 16, 2, 16, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(batch["image_low"].mean(axis=-1), coarse, atol=1)


def test_the_large_image_is_left_out_where_nobody_looks_at_it():
    batch = next(Pipeline(make_dataset(), (8, 12), high=False).training_batches(4, 0, 0))
    assert set(batch) == {"image_low", "label", "index", "mask"}


def test_reader_processes_give_the_same_batches_as_threads(tmp_path):
    """On data from a builder, which the processes must be able to open."""
    config = base.get_config().data
    config.update(synthetic_count=20, high_size=(128, 128), prepared_directory=str(tmp_path))
    dataset = load_dataset(config)
    threads, processes = (
        collect(
            Pipeline(
                dataset, (32, 32), workers=workers, transforms=(Warp(),), sampler=Doubled
            ).training_batches(4, 0, 5),
            6,
        )
        for workers in (0, 2)
    )
    for one, other in zip(threads, processes, strict=True):
        for name in one:
            np.testing.assert_array_equal(other[name], one[name])


def test_processes_that_train_together_share_each_batch():
    dataset = make_dataset()
    plain = Pipeline(dataset, (8, 12), transforms=(Warp(),))
    whole = collect(plain.training_batches(6, seed=1, first_step=1), 4)
    parts = [
        collect(
            dataclasses.replace(plain, share=(number, 3)).training_batches(6, 1, first_step=1), 4
        )
        for number in range(3)
    ]
    for step, batch in enumerate(whole):
        for number in range(3):
            for name in batch:
                np.testing.assert_array_equal(parts[number][step][name], batch[name][number::3])
    with pytest.raises(InputError, match="does not divide over 3 processes"):
        next(Pipeline(dataset, (8, 12), share=(0, 3)).training_batches(5, 0, 0))


def test_colours_change_alike_in_both_images():
    changes = (ColorShift(brightness=0.3, hue=0.1), Blur(1.0), Noise(2.0), Cutout(0.3))
    pipeline = Pipeline(make_dataset(size=(64, 64)), (16, 16), transforms=changes)
    batch = next(pipeline.training_batches(16, 0, 0))
    plain = next(Pipeline(make_dataset(size=(64, 64)), (16, 16)).training_batches(16, 0, 0))
    means = batch["image_high"].mean(axis=(1, 2, 4, 5))
    np.testing.assert_allclose(batch["image_low"].mean(axis=(1, 2)), means, atol=1)
    assert np.abs(means - plain["image_high"].mean(axis=(1, 2, 4, 5))).max() > 5
    again = next(pipeline.training_batches(16, 0, 0))
    np.testing.assert_array_equal(batch["image_high"], again["image_high"])


def test_a_crop_is_the_middle_in_evaluation_and_anywhere_in_training():
    config = base.get_config().data
    config.update(high_size=(32, 48), crop_size=(24, 32), low_size=(12, 16))
    config.augment.update(crop_area=(1.0, 1.0), crop_aspect=(1.0, 1.0), rotation=0.0, flips=False)
    dataset = make_dataset()
    pipeline = Pipeline.from_config(dataset, config, high=True)
    judged = next(pipeline.evaluation_batches("validation", 7))
    whole = decode(dataset.records[0]["image"])
    np.testing.assert_array_equal(images_from_planes(judged["image_high"])[0], whole[4:28, 8:40])
    trained = next(pipeline.training_batches(16, 0, 0))
    places = set()
    for index, crop in zip(
        trained["index"], images_from_planes(trained["image_high"]), strict=True
    ):
        whole = decode(dataset.records[index]["image"])
        parts = np.lib.stride_tricks.sliding_window_view(whole, crop.shape).squeeze(2)
        (place,) = np.argwhere((parts == crop).all(axis=(2, 3, 4)))
        places.add(tuple(place.tolist()))
    assert len(places) > 8
    config.crop_size = (25, 32)
    with pytest.raises(InputError, match=r"data.crop_size is 25x32; its sides must be multiples"):
        Pipeline.from_config(dataset, config, high=True)


def test_a_batch_larger_than_the_split_is_refused():
    with pytest.raises(InputError, match=r"train.batch_size is 17 and a pass of training has 16"):
        Pipeline(make_dataset(), (8, 12)).training_steps(17)


def test_no_pass_of_one_seed_has_the_order_of_a_pass_of_another():
    pipeline = Pipeline(make_dataset(), (8, 12), high=False)
    orders = {}
    for seed in (0, 1, 2):
        batches = collect(pipeline.training_batches(16, seed, first_step=0), 4)
        for number, batch in enumerate(batches):
            orders[seed, number] = tuple(batch["index"])
    assert len(set(orders.values())) == len(orders)


def test_a_sampler_that_repeats_an_image_gives_it_another_view():
    pipeline = Pipeline(make_dataset(), (8, 12), transforms=(Warp(),), sampler=Doubled)
    assert pipeline.training_steps(4) == 8
    views = {}
    for batch in collect(pipeline.training_batches(4, seed=1, first_step=0), 16):
        for index, image in zip(batch["index"], batch["image_low"], strict=True):
            views.setdefault(index, []).append(image.tobytes())
    assert {len(seen) for seen in views.values()} == {4}
    assert all(len(set(seen)) == 4 for seen in views.values())
    straight = collect(pipeline.training_batches(4, seed=1, first_step=0), 12)
    resumed = collect(pipeline.training_batches(4, seed=1, first_step=9), 3)
    for one, other in zip(straight[9:], resumed, strict=True):
        np.testing.assert_array_equal(one["image_low"], other["image_low"])


def test_the_large_image_must_divide_by_the_strides_where_it_is_looked_at():
    config, dataset = base.get_config().data, make_dataset(size=(32, 46))
    config.low_size = (8, 12)
    pipeline = Pipeline.from_config(dataset, config, high=True)
    assert next(pipeline.training_batches(4, 0, 0))["image_high"].shape == (4, 2, 2, 3, 16, 23)
    with pytest.raises(InputError, match=r"data.high_size is 32x46; .* strides, 4 and 4"):
        Pipeline.from_config(dataset, config, high=True, strides=(4, 4))
    assert Pipeline.from_config(dataset, config, high=False, strides=(4, 4)).high is False


def imported(module, seen):
    """Names of the project's modules that a module imports, itself and others on the way."""
    parts = module.split(".")
    path = ROOT.joinpath(*parts)
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if module in seen or not path.is_file():
        return seen
    seen.add(module)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            imported(node.module, seen)
            for alias in node.names:
                imported(f"{node.module}.{alias.name}", seen)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                imported(alias.name, seen)
    return seen


@pytest.mark.parametrize("room", ["dataset", "pipeline"])
def test_reading_imports_nothing_of_preparation(room):
    found = set()
    for path in (ROOT / "stochconv_jax" / "data" / room).glob("*.py"):
        imported(f"stochconv_jax.data.{room}.{path.stem}", found)
    assert "stochconv_jax.data.dataset.image_dataset" in found
    assert not {name for name in found if "preparation" in name or name.endswith("data.load")}
