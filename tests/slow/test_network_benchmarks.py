"""The benchmarks of whole networks run at a tiny size."""

import pytest
from test_benchmarks import run

from benchmarks import dense_conv, prediction, profile_step, sampling, train_step


@pytest.fixture
def tiny(monkeypatch):
    networks = {"b0": train_step.Network("efficientnet_tiny", 32, train_step.BOTH)}
    monkeypatch.setattr(train_step, "NETWORKS", networks)
    monkeypatch.setattr(profile_step, "NETWORKS", networks)


def test_train_step(tmp_path, tiny):
    (row,) = run(train_step, tmp_path, "--networks b0 --batch 4 --high 64 --repeats 1")
    assert row["train ms"] > 0
    assert row["predict ms"] > 0
    assert row["peak MB"] > 0


def test_profile_step_accounts_for_the_whole_step(tmp_path, tiny):
    rows = run(profile_step, tmp_path, "--network b0 --batch 4")
    assert {*profile_step.KINDS, profile_step.BETWEEN} == {row["what"] for row in rows}
    assert sum(row["share %"] for row in rows) == pytest.approx(100)


def test_sampling(tmp_path):
    arguments = "--backbone efficientnet_tiny --draws 2 --batch 4 --side 32 --high 64 --repeats 1"
    rows = run(sampling, tmp_path, arguments)
    assert [(row["windows"], row["K"]) for row in rows] == [
        (placement, draws) for placement in ("independent", "even", "guided") for draws in "12"
    ]


def test_prediction(tmp_path):
    arguments = "--backbone efficientnet_tiny --high 128 --draws 1 2 --batch 4 --repeats 1"
    rows = run(prediction, tmp_path, arguments)
    assert len(rows) == 4 + 2 * 3
    assert rows[0]["times the first"] == 1
    assert all(row["ms per image"] > 0 for row in rows)


def test_dense_conv(tmp_path):
    rows = run(dense_conv, tmp_path, "--batch 1 --divide-sides 7 --repeats 1")
    assert len(rows) == len(dense_conv.LAYERS)
    assert all(row["ours forward ms"] > 0 for row in rows)
