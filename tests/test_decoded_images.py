"""Decoded images that are kept beside their records."""

import itertools
import pathlib
import pickle
import resource
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from configs import base
from stochconv_jax.data import decoded_images
from stochconv_jax.data.decoded_images import FILE
from stochconv_jax.data.load import load_dataset
from stochconv_jax.data.pipeline.batches import Pipeline, decode
from stochconv_jax.data.pipeline.color import ColorShift
from stochconv_jax.data.pipeline.warp import Warp
from stochconv_jax.errors import InputError

COUNT, SIDE = 20, 128
# Of a file in NumPy's format.
HEADER = 128


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    directory = tmp_path_factory.mktemp("prepared")
    load_dataset(config(directory))
    return directory


def config(directory, keep=False):
    data = base.get_config().data
    data.update(synthetic_count=COUNT, high_size=(SIDE, SIDE), low_size=(32, 32))
    data.update(prepared_directory=str(directory), keep_decoded=keep)
    return data


@pytest.fixture
def directory(prepared, tmp_path):
    return pathlib.Path(shutil.copytree(prepared, tmp_path / "prepared"))


def kept_file(directory):
    (found,) = directory.rglob(FILE)
    return found


def test_kept_images_are_the_decoded_ones_and_their_size_is_told_once(directory, capfd):
    plain = load_dataset(config(directory))
    kept = load_dataset(config(directory, keep=True))
    assert f"{COUNT} decoded images take 0.00 GB, which are kept in " in capfd.readouterr().out
    assert kept_file(directory).stat().st_size == HEADER + COUNT * SIDE * SIDE * 3
    assert kept.identity == plain.identity
    for one, other in zip(kept.records, plain.records, strict=True):
        np.testing.assert_array_equal(one["pixels"], decode(other["image"]))
        assert one["image"] == other["image"]
    load_dataset(config(directory, keep=True))
    assert "decoded" not in capfd.readouterr().out
    assert not list(directory.rglob("*.part"))


def test_batches_of_kept_images_are_the_same_to_the_bit(directory):
    transforms = (ColorShift(hue=0.1), Warp())
    decoded, kept = (
        Pipeline(load_dataset(config(directory, keep)), (32, 32), transforms=transforms)
        for keep in (False, True)
    )
    for batches in (
        lambda pipeline: itertools.islice(pipeline.training_batches(4, 0, 2), 3),
        lambda pipeline: pipeline.evaluation_batches("validation", 3),
    ):
        for one, other in zip(batches(decoded), batches(kept), strict=True):
            for key in one:
                np.testing.assert_array_equal(one[key], other[key])


def test_a_pickle_names_the_file_and_holds_none_of_it(directory):
    records = load_dataset(config(directory, keep=True)).records
    pickled = pickle.dumps(records)
    assert len(pickled) < SIDE * SIDE
    np.testing.assert_array_equal(pickle.loads(pickled)[3]["pixels"], records[3]["pixels"])


@pytest.mark.parametrize("harm", ["truncated", "longer", "header", "others"])
def test_a_damaged_file_and_one_of_other_images_are_refused(directory, harm):
    load_dataset(config(directory, keep=True))
    path = kept_file(directory)
    content = path.read_bytes()
    harmed = {
        "truncated": content[:-1],
        "longer": content + b"\0",
        "header": b"nothing",
        "others": content[:HEADER] + content[: HEADER - 1 : -1],
    }
    path.write_bytes(harmed[harm])
    with pytest.raises(InputError, match=rf"{FILE} is damaged or holds other images; delete it"):
        load_dataset(config(directory, keep=True))
    path.unlink()
    load_dataset(config(directory, keep=True))
    assert path.read_bytes() == content


def test_a_disk_without_the_room_is_refused_before_anything_is_written(directory, monkeypatch):
    usage = shutil.disk_usage(directory)._replace(free=COUNT * SIDE * SIDE * 3 - 1)
    monkeypatch.setattr(decoded_images.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InputError, match=r"20 decoded images take 0.00 GB and the disk of .* has"):
        load_dataset(config(directory, keep=True))
    assert not list(directory.rglob(f"{FILE}*"))


def test_a_disk_that_fills_up_meanwhile_leaves_nothing(directory):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5 * SIDE * SIDE * 3, before[1]))
    try:
        with pytest.raises(InputError, match=rf"{FILE} cannot be written .File too large.; make"):
            load_dataset(config(directory, keep=True))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(directory.rglob(f"{FILE}*"))


def test_of_several_that_want_the_file_one_writes_it(directory, capfd):
    records = load_dataset(config(directory)).records
    with ThreadPoolExecutor(3) as pool:
        found = list(
            pool.map(lambda _: decoded_images.keep_decoded(records, (SIDE, SIDE)), range(3))
        )
    assert capfd.readouterr().out.count("decoded images take") == 1
    for kept in found:
        np.testing.assert_array_equal(kept[7]["pixels"], decode(records[7]["image"]))


def test_a_table_alone_has_none(tmp_path):
    with pytest.raises(InputError, match=r"data.keep_decoded is set and there are no images"):
        decoded_images.keep_decoded((), (SIDE, SIDE))
