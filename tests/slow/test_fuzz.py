"""Two thousand damaged images and as many tables, of other seeds than those of the quick tests."""

import collections
import random

import pytest
from fuzzed_folder import check_image, check_table, write_images

COUNT = 2000
PER_FOLDER = 20


@pytest.fixture
def folders(tmp_path):
    """Yields folders with their images, written anew each time, and the generator behind them."""

    def make():
        for number in range(COUNT // PER_FOLDER):
            rng = random.Random(10_000 + number)
            directory = tmp_path / str(number)
            directory.mkdir()
            yield directory, write_images(directory, PER_FOLDER, rng), rng

    return make()


def test_two_thousand_images_are_used_or_named(folders):
    said = collections.Counter()
    for directory, names, _ in folders:
        for name in names:
            said[check_image(directory / name).partition(":")[0]] += 1
    print(dict(said))
    assert sum(said.values()) == COUNT
    assert said[""] > COUNT / 5


def test_two_thousand_tables_are_refused_or_every_row_is_told(folders):
    refused = 0
    for directory, names, rng in folders:
        for _ in range(PER_FOLDER):
            refused += bool(check_table(directory, names[:5], rng))
    print(f"{refused} of {COUNT} tables were refused")
    assert COUNT / 5 < refused < COUNT
