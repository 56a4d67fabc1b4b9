"""Flags, as two demos on one machine with a small disk keep them."""

import json
import multiprocessing
import os
import sqlite3
import stat

import pytest

from stochconv_jax.errors import InputError
from stochconv_jax.feedback.store import FeedbackStore

FLAG = {
    "run": "moles",
    "step": 700,
    "name": "mole.jpg",
    "image": b"\xff\xd8 pixels",
    "probabilities": {"benign": 0.75, "malignant": 0.25},
    "decision": "benign",
    "correct_class": "malignant",
    "comment": "a melanoma in situ, say the pathologists: “pT1a”",
}


def add_many(path, count):
    store = FeedbackStore(path, create=True)
    for number in range(count):
        store.add(**FLAG | {"name": str(number)})


@pytest.fixture
def store(tmp_path):
    return FeedbackStore(tmp_path / "flags.sqlite", create=True)


def test_a_flag_is_kept_with_its_image_and_its_prediction(store):
    number = store.add(**FLAG)
    (flag,) = FeedbackStore(store.path).flags()
    assert {name: getattr(flag, name) for name in FLAG} == FLAG
    assert flag.id == number
    assert flag.sha256 == "7abaeaea8ea8e2c80a9372c7e43796be656fa915f5fe39c8860979997dfd92e7"
    assert flag.time.endswith("+00:00")
    assert stat.S_IMODE(store.path.stat().st_mode) & 0o077 == 0, "others can read the images"


def test_other_programs_find_the_table_as_it_is_described(store):
    store.add(**FLAG | {"correct_class": ""})
    row = sqlite3.connect(store.path).execute("SELECT probabilities, correct_class FROM flags")
    assert [*row] == [(json.dumps(FLAG["probabilities"]), "")]


def test_two_processes_share_one_file_and_lose_nothing(tmp_path):
    path = tmp_path / "flags.sqlite"
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=add_many, args=(path, 30)) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert [each.exitcode for each in both] == [0, 0]
    names = [flag.name for flag in FeedbackStore(path).flags()]
    assert sorted(names) == sorted(2 * [str(number) for number in range(30)])


def test_a_full_disk_is_told_and_keeps_what_was_there(store, monkeypatch):
    store.add(**FLAG)
    connect = sqlite3.connect

    def on_a_full_disk(*arguments, **options):
        database = connect(*arguments, **options)
        pages = database.execute("PRAGMA page_count").fetchone()[0]
        database.execute(f"PRAGMA max_page_count = {pages}")
        return database

    monkeypatch.setattr(sqlite3, "connect", on_a_full_disk)
    with pytest.raises(InputError, match="cannot be written: database or disk is full; nothing "):
        store.add(**FLAG | {"image": bytes(100_000)})
    monkeypatch.undo()
    assert len([*store.flags()]) == 1
    store.add(**FLAG)
    assert len([*store.flags()]) == 2


def test_a_class_that_there_is_not_is_refused(store):
    with pytest.raises(InputError, match="no class 'naevus'; use one of benign, malignant"):
        store.add(**FLAG | {"correct_class": "naevus"})
    assert [*store.flags()] == []


def test_files_of_something_else_are_left_alone(tmp_path):
    words, other = tmp_path / "words.txt", tmp_path / "other.sqlite"
    words.write_text("not a database, but long enough to look at " * 30)
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE patients (id)")
    database.close()
    kept = [words.read_bytes(), other.read_bytes()]
    for path, said in (words, "file is not a database"), (other, "is not a file of flags"):
        for create in (True, False):
            with pytest.raises(InputError, match=said):
                FeedbackStore(path, create)
    assert [words.read_bytes(), other.read_bytes()] == kept


def test_places_that_cannot_be_written_are_named(tmp_path, store):
    with pytest.raises(InputError, match=r"no file of flags .*none\.sqlite"):
        FeedbackStore(tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()
    with pytest.raises(InputError, match="No such file or directory; name another"):
        FeedbackStore(tmp_path / "nowhere" / "flags.sqlite", create=True)
    if os.geteuid():  # root may write everywhere
        store.path.chmod(0o400)
        with pytest.raises(InputError, match="readonly"):
            store.add(**FLAG)
