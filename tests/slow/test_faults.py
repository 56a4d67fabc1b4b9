"""The harness of docs/reliability.md: it strikes, it goes on, and it sees what differs."""

import signal

import pytest

from benchmarks.faults import signals
from benchmarks.faults.__main__ import plan, rows
from benchmarks.faults.bench import Bench, Trial
from benchmarks.faults.stage import TRAIN


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """With what a training that nothing befell left."""
    bench = Bench(tmp_path_factory.mktemp("bench"))
    bench.make_reference(TRAIN)
    return bench


def test_a_training_survives_three_kills(bench):
    trials = signals.strike(bench, TRAIN, "seed", 3, signal.SIGKILL)
    assert [trial.wrong for trial in trials] == ["", "", ""]
    assert rows(trials)[0]["tried"] == 3


def test_a_training_survives_a_notice(bench):
    (trial,) = signals.strike(bench, TRAIN, "another seed", 1, signal.SIGTERM)
    assert trial.wrong == ""
    assert 0 < trial.seconds < 60


def test_what_differs_is_seen(bench):
    victim = bench.victim(TRAIN)
    assert bench.run_through(TRAIN, victim) == ""
    table = victim / "run" / "metrics.csv"
    table.write_text(table.read_text().replace(",0.", ",1.", 1))
    assert "metrics.csv" in bench.compare(TRAIN, victim)
    for checkpoint in (victim / "run" / "checkpoints").iterdir():
        (checkpoint / "left.part").touch()
    assert "unfinished" in bench.compare(TRAIN, victim)


def test_two_hundred_kills_are_planned():
    kills = [task.count for task in plan(1, seed=0) if task.fault == "SIGKILL"]
    assert sum(kills) >= 200


def test_a_row_tells_the_worst_and_what_was_other():
    term = [
        Trial("SIGTERM", "train", "steps", "", 0.5, 1),
        Trial("SIGTERM", "train", "steps", "differs", 0.25, 2),
        Trial("SIGTERM", "train", "validation"),
    ]
    (row,) = rows(term)
    assert (row["tried"], row["other results"]) == (3, 1)
    assert (row["struck"], row["worst"]) == ("steps 2, validation 1", "0.5 s, 2 steps")
