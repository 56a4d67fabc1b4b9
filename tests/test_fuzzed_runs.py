"""A run's directory, its evaluation and its images, damaged: refused, never quietly otherwise."""

import errno
import io
import json
import random
import shutil
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import found_or_told, mutate_bytes, mutate_json, mutate_table
from numpy.lib import format as npy

from stochconv_jax.atomic_write import read_table
from stochconv_jax.data.dataset.metadata import Metadata
from stochconv_jax.data.dataset.records import StoredRecords, open_records
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.evaluate import evaluate
from stochconv_jax.evaluation.kept_evaluation import read_evaluation
from stochconv_jax.evaluation.run_doubts import doubt_limit
from stochconv_jax.evaluation.run_thresholds import run_thresholds
from stochconv_jax.evaluation.thresholds import DECIDING
from stochconv_jax.evidence.runs import read_runs
from stochconv_jax.inference.trained_network import TrainedNetwork
from stochconv_jax.runs.provenance import read_starts
from stochconv_jax.runs.run import Run
from stochconv_jax.saved_config import read_config, read_json
from stochconv_jax.training.history import read_history

SEEDS = st.integers(0, 2**32)
MUTATIONS = {
    ".json": (mutate_json, mutate_json, mutate_bytes),
    ".csv": (mutate_table, mutate_bytes),
    ".npz": (mutate_bytes,),
}


@pytest.fixture(scope="module")
def network(straight, tmp_path_factory):
    """A judged run's network; its thresholds and doubts are kept beside it."""
    directory = tmp_path_factory.mktemp("damaged") / "run"
    shutil.copytree(straight, directory)
    evaluate(Run.open(directory).config, str(directory))
    network = TrainedNetwork.restore(Run.open(directory))
    run_thresholds(network)
    doubt_limit(network, 0.5, 0.1)
    return network


def is_whole(found):
    """Returns whether an evaluation can be compared with others."""
    numbers = {len(found.ids), len(found.groups), len(found.labels), len(found.draws)}
    return len(numbers) == 1 and np.isfinite(found.draws).all()


def readers(network):
    """What reads each file, and what must be true of what it returns."""
    directory = network.run.directory
    evaluation = (
        lambda: read_evaluation(directory / "eval"),
        lambda found: not found or is_whole(found),
    )
    curve = (lambda: read_history(directory), lambda rows: all(len(row) == 7 for row in rows))

    return {
        "data.json": (
            lambda: Run.open(directory).classes,
            lambda classes: len(set(classes)) > 1,
        ),
        "images.csv": (
            lambda: Run.open(directory).images(),
            lambda rows: all({"id", "split", "sha256"} <= set(row) for row in rows),
        ),
        "provenance.json": (lambda: read_starts(directory), lambda starts: type(starts) is list),
        "metrics.csv": curve,
        "thresholds.json": (
            lambda: run_thresholds(network)[DECIDING],
            lambda threshold: 0 <= threshold <= 2,
        ),
        "doubts.json": (
            lambda: doubt_limit(network, 0.5, 0.1),
            lambda limit: -1 <= limit <= 1,
        ),
        "eval/metrics.json": evaluation,
        "eval/predictions.csv": evaluation,
        "eval/images.csv": evaluation,
        "eval/logits.npz": evaluation,
    }


FILES = (
    "data.json",
    "images.csv",
    "provenance.json",
    "metrics.csv",
    "thresholds.json",
    "doubts.json",
    "eval/metrics.json",
    "eval/predictions.csv",
    "eval/images.csv",
    "eval/logits.npz",
)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_of_a_run_is_refused_in_a_sentence(name, network):
    read, is_sane = readers(network)[name]
    path = network.run.directory / name
    content = path.read_bytes()

    @given(SEEDS)
    def refuses(seed):
        rng = random.Random(seed)
        for mutate in MUTATIONS[path.suffix]:
            path.write_bytes(mutate(content, rng))
            found, told = found_or_told(read)
            assert told or is_sane(found)
            found_or_told(read_runs, [network.run.directory], 0)

    try:
        refuses()
    finally:
        path.write_bytes(content)


def test_logits_that_are_said_to_be_larger_than_their_file_are_refused(network, tmp_path):
    shutil.copytree(network.run.directory / "eval", tmp_path / "eval")
    header = io.BytesIO()
    claim = {"descr": "<f4", "fortran_order": False, "shape": (10**7, 10**6, 1)}
    npy.write_array_header_1_0(header, claim)
    with zipfile.ZipFile(tmp_path / "eval" / "logits.npz", "w") as archive:
        archive.writestr("logits.npy", header.getvalue())
    with pytest.raises(InputError, match=r"logits\.npz is damaged .*larger than the file"):
        read_evaluation(tmp_path / "eval")


def test_an_empty_table_and_an_empty_field_are_told_as_such(network, tmp_path):
    (tmp_path / "images.csv").touch()
    with pytest.raises(InputError, match=r"images\.csv is damaged \(it is empty\)"):
        read_table(tmp_path / "images.csv")
    content = read_json(network.run.directory / "config.json")
    content["train"]["epochs"] = None
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(
        InputError, match=r"config\.json is damaged \(train\.epochs is None; it must"
    ):
        read_config(tmp_path)


FITTED = Metadata({"age": (50.0, 12.5)}, {"sex": ("female", "male"), "site": ("arm",)})


@given(SEEDS)
def test_damaged_metadata_are_refused(tmp_path, seed):
    path = tmp_path / "metadata.json"
    rng = random.Random(seed)
    content = json.dumps(FITTED.to_json(), indent=2).encode()
    for mutate in (mutate_json,) * 10 + (mutate_bytes,) * 5:
        path.write_bytes(mutate(content, rng))
        found, told = found_or_told(lambda: Metadata.from_json(read_json(path), path))
        if not told:
            assert np.isfinite([number for pair in found.numbers.values() for number in pair]).all()
            assert all(deviation > 0 for _, deviation in found.numbers.values())
            assert len(found.names) == len(FITTED.names)


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json", "metadata.json", "images"])
def test_damaged_records_are_refused_where_they_are_met(name, network, prepared, tmp_path):
    (original,) = prepared.glob("synthetic_lesions/size128_count40_seed0/*")
    directory = tmp_path / "size128_count40_seed0" / original.name
    shutil.copytree(original, directory)
    expected = read_all(directory)
    (path,) = (path for path in directory.iterdir() if name in path.name)
    content = path.read_bytes()

    @given(SEEDS)
    def refuses(seed):
        rng = random.Random(seed)
        for mutate in MUTATIONS.get(path.suffix, (mutate_bytes,)):
            path.write_bytes(mutate(content, rng))
            found, told = found_or_told(read_all, directory)
            assert directory.name in told or found == expected

    refuses()


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "Input/output error"),
        RuntimeError("open() failed: Too many open files; opening images"),  # as ArrayRecord has it
        MemoryError(),
    ],
)
def test_a_machine_that_lacks_files_or_memory_is_not_told_as_damage(error, tmp_path):
    class Records(list):
        def __getitem__(self, index):
            raise error

    with pytest.raises((OSError, MemoryError)):
        StoredRecords(Records([1]), tmp_path)[0]


def read_all(directory):
    return [record["image"] for record in open_records(directory)[0]]
