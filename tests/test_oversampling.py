"""Rows copied before they are split: the leak is what it says."""

import collections

import numpy as np
import pytest

from configs import base
from stochconv_jax.config_limits import check_limits
from stochconv_jax.data.dataset.image_dataset import Example, ImageDataset
from stochconv_jax.data.dataset.oversampling import (
    describe_leak,
    known_from_training,
    oversample,
)
from stochconv_jax.data.dataset.splits import Drawing
from stochconv_jax.data.framing import Framing
from stochconv_jax.data.load import load_dataset
from stochconv_jax.data.pipeline.batches import Pipeline
from stochconv_jax.errors import InputError


@pytest.fixture
def dataset():
    """60 images of a in groups of two, 5 of b that stand alone; all are given to training."""
    examples = tuple(
        Example(f"a{place}", "a", f"g{place // 2}", "train", {}, f"sha a{place}")
        if place < 60
        else Example(f"b{place}", "b", "", "train", {}, f"sha b{place}")
        for place in range(65)
    )
    records = [{"image": example.id} for example in examples]
    splits = np.array(["train"] * 60 + ["validation"] * 5)
    return ImageDataset(records, examples, ("a", "b"), splits, Framing((2, 2), (1, 1)))


def test_classes_become_equal_and_rows_are_split_whatever_was_given(dataset):
    drawn = oversample(dataset, 40, Drawing(0.25, 0.25, seed=3))
    assert np.bincount(drawn.labels).tolist() == [40, 40]
    counts = collections.Counter(zip(drawn.labels.tolist(), drawn.splits.tolist(), strict=True))
    for number in (0, 1):
        assert (counts[number, "validation"], counts[number, "test"]) == (10, 10)
    again, other = (oversample(dataset, 40, Drawing(0.25, 0.25, seed=seed)) for seed in (3, 4))
    assert again.identity == drawn.identity != other.identity


def test_copies_have_names_of_their_own_and_are_one_group(dataset):
    drawn = oversample(dataset, 40, Drawing())
    assert len({example.id for example in drawn.examples}) == 80
    for example, record in zip(drawn.examples, drawn.records, strict=True):
        image = example.id.partition("#")[0]
        assert (record["image"], example.sha256) == (image, f"sha {image}")
        assert example.group == (image if example.label == "b" else f"g{int(image[1:]) // 2}")
    names = [example.id for example in drawn.examples if example.id.startswith("b60")]
    assert names == ["b60", *(f"b60#{copy}" for copy in range(2, len(names) + 1))]


def test_what_training_knows_of_the_rows_is_told(dataset):
    known = known_from_training(
        ["x", "x", "y", "y", "z", "v", "w"],
        ["g", "g", "g", "g", "", "h", ""],
        ["train", "validation", "test", "validation", "validation", "train", "test"],
    )
    assert known.tolist() == ["all", "copy", "group", "group", "nothing", "all", "nothing"]
    drawn = oversample(dataset, 40, Drawing())
    rows = list(zip(drawn.examples, drawn.splits, strict=True))
    training = {row.sha256 for row, split in rows if split == "train"}
    held = [row.sha256 for row, split in rows if split == "validation"]
    copies = sum(image in training for image in held)
    assert copies >= 8
    assert describe_leak(drawn).startswith(f"leak: of 16 validation rows {copies} are copies of")


def test_a_config_asks_for_it_and_training_and_validation_read_the_rows(tmp_path, capsys):
    config = base.get_config()
    data = config.data
    data.update(synthetic_count=20, high_size=(128, 128), prepared_directory=str(tmp_path))
    data.low_size = (16, 16)
    plain = load_dataset(data)
    assert capsys.readouterr().out == ""
    data.oversample_before_split = 30
    dataset = load_dataset(data)
    assert capsys.readouterr().out.startswith("leak: of 12 validation rows 10 are copies of")
    assert dataset.identity["fingerprint"] != plain.identity["fingerprint"]
    pipeline = Pipeline.from_config(dataset, data, high=False)
    assert pipeline.training_steps(8) == 6
    (batch,) = pipeline.evaluation_batches("validation", 12)
    assert batch["index"].tolist() == dataset.indices("validation").tolist()
    assert sorted(batch["label"].tolist()) == [0] * 6 + [1] * 6
    data.fold = 1
    with pytest.raises(InputError, match="splits by row and knows no folds"):
        check_limits(config)
    data.update(fold=0, oversample_before_split=1)
    with pytest.raises(InputError, match="cannot be split"):
        load_dataset(data)
