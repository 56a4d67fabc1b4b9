"""How often a pass of training visits each class."""

import collections
import itertools
import pickle

import numpy as np
import pytest
from PIL import Image

from configs import base
from stochconv_jax.config_limits import check_limits
from stochconv_jax.data.dataset.image_dataset import Example, ImageDataset
from stochconv_jax.data.framing import Framing, encode_jpeg
from stochconv_jax.data.pipeline.balance import Balanced
from stochconv_jax.data.pipeline.batches import Pipeline
from stochconv_jax.data.pipeline.warp import Warp
from stochconv_jax.errors import InputError

# Images of the training split; one more of each class validates.
COUNTS = {"a": 8, "b": 3, "c": 4}
SIZE = (16, 16)


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(0)
    labels = [name for name, count in COUNTS.items() for _ in range(count + 1)]
    records = [
        {"image": encode_jpeg(Image.fromarray(rng.integers(0, 256, (*SIZE, 3), np.uint8)))}
        for _ in labels
    ]
    examples = tuple(Example(f"i{place}", label, "", "") for place, label in enumerate(labels))
    splits = ["validation" if place in (0, 9, 13) else "train" for place in range(len(labels))]
    return ImageDataset(records, examples, tuple(COUNTS), np.array(splits), Framing(SIZE, (1, 1)))


def passes(dataset, count=1, seed=0, **fields):
    """The images of the first passes."""
    pipeline = make_pipeline(dataset, **fields)
    sampler = pickle.loads(pickle.dumps(pipeline.sampler(dataset.indices("train"), seed)))
    return [sampler(number) for number in range(count)]


def make_pipeline(dataset, **fields):
    config = base.get_config().data
    config.low_size = config.high_size = SIZE
    config.update(fields)
    return Pipeline.from_config(dataset, config, high=False)


@pytest.mark.parametrize(
    ("multipliers", "counts"),
    [
        ((1.0, 1.0, 1.0), {"a": 8, "b": 3, "c": 4}),
        ((0.25, 3.0, 1.5), {"a": 2, "b": 9, "c": 6}),
        ((0.0, 2.34, 1.3), {"b": 7, "c": 5}),
        ((0.5, 0.0, 2.999999999), {"a": 4, "c": 12}),
    ],
)
def test_a_pass_takes_whole_copies_and_draws_the_rest(dataset, multipliers, counts):
    (visited,) = passes(dataset, class_multipliers=multipliers)
    labels = [dataset.examples[image].label for image in visited]
    assert collections.Counter(labels) == counts
    times = collections.Counter(visited.tolist())
    for image in dataset.indices("train"):
        whole = int(multipliers[dataset.labels[image]])
        assert times[image] in (whole, whole + 1)
    assert set(visited) <= set(dataset.indices("train"))
    pipeline = make_pipeline(dataset, class_multipliers=multipliers)
    assert pipeline.training_steps(2) == len(visited) // 2


def test_classes_come_as_often_as_the_commonest_and_multipliers_count_from_there(dataset):
    for multipliers, expected in (((), [8, 8, 8]), ((0.5, 0.25, 1.0), [4, 2, 8])):
        (visited,) = passes(dataset, equal_classes=True, class_multipliers=multipliers)
        assert np.bincount(dataset.labels[visited]).tolist() == expected


def test_what_is_drawn_is_another_in_each_pass_and_the_same_for_a_seed(dataset):
    first = passes(dataset, 8, class_multipliers=(0.25, 3.0, 1.5))
    drawn = [frozenset(visited[dataset.labels[visited] == 0]) for visited in first]
    assert len(set(drawn)) > 1
    assert len(set().union(*drawn)) > 4
    again = passes(dataset, 8, class_multipliers=(0.25, 3.0, 1.5))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    (others,) = passes(dataset, seed=1, class_multipliers=(0.25, 3.0, 1.5))
    assert (first[0] != others).any()


def test_copies_are_seen_in_views_of_their_own_and_training_goes_on_exactly(dataset):
    balance = Balanced.of(dataset, (), equal_classes=True)
    pipeline = Pipeline(dataset, SIZE, high=False, transforms=(Warp(),), sampler=balance)
    assert pipeline.training_steps(4) == 6
    straight = list(itertools.islice(pipeline.training_batches(4, 0, first_step=0), 12))
    views = collections.defaultdict(set)
    for batch in straight[:6]:
        for index, image in zip(batch["index"], batch["image_low"], strict=True):
            views[index].add(image.tobytes())
    assert sum(map(len, views.values())) == 24
    resumed = itertools.islice(pipeline.training_batches(4, 0, first_step=5), 7)
    for one, other in zip(straight[5:], resumed, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_evaluation_knows_nothing_of_it(dataset):
    pipeline = make_pipeline(dataset, equal_classes=True, class_multipliers=(3.0, 0.0, 1.0))
    (batch,) = pipeline.evaluation_batches("validation", 3)
    assert batch["index"].tolist() == [0, 9, 13]


def test_multipliers_that_cannot_be_are_refused(dataset):
    with pytest.raises(InputError, match="has 2 numbers; give one for each class: a, b, c"):
        make_pipeline(dataset, class_multipliers=(1.0, 2.0))
    for multipliers in ((1.0, -0.5, 1.0), (0.0, 0.0, 0.0)):
        config = base.get_config()
        config.data.class_multipliers = multipliers
        with pytest.raises(InputError, match=r"data.class_multipliers is .*; it must be a number"):
            check_limits(config)
    pipeline = make_pipeline(dataset, class_multipliers=(0.01, 0.0, 0.0))
    with pytest.raises(InputError, match="a pass of training has 0 images"):
        pipeline.training_steps(1)
