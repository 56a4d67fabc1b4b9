"""Flags that become a folder and a table: as people upload, flag and edit them."""

import contextlib
import csv
import errno
import io
import sqlite3
import stat
import tracemalloc

import pytest
from feedback_folder import lesion
from support import read_rows

from stochconv_jax.data.preparation.command import main as prepare
from stochconv_jax.feedback.command import main
from stochconv_jax.feedback.store import FeedbackStore


def png(number):
    content = io.BytesIO()
    lesion(number).save(content, "PNG")
    return content.getvalue()


def flag(store, image, correct_class, name="mole.png", comment=""):
    store.add(
        run="moles",
        step=700,
        name=name,
        image=image,
        probabilities={"benign": 0.75, "malignant": 0.25},
        decision="benign",
        correct_class=correct_class,
        comment=comment,
    )


@pytest.fixture
def store(tmp_path):
    return FeedbackStore(tmp_path / "flags.sqlite", create=True)


def export(store, output):
    main(["export", str(store.path), "--output", str(output)])


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.count("error: ") == 1
    return error


def test_what_is_exported_prepare_reads_with_no_further_ado(store, tmp_path, capsys):
    for number in range(4):
        correct = ("malignant", "benign")[number % 2]
        flag(store, png(number), correct, f"mole {number}.png", "“sure”,\nsays the pathologist")
    export(store, tmp_path / "export")
    assert "holds 4 of 4 flags" in capsys.readouterr().out
    rows = read_rows(tmp_path / "export" / "labels.csv")
    assert [row["label"] for row in rows] == ["malignant", "benign"] * 2
    told = {name: rows[0][name] for name in ("group", "decision", "probability", "run", "comment")}
    assert told == {
        "group": "",
        "decision": "benign",
        "probability": "0.7500",
        "run": "moles",
        "comment": "“sure”,\nsays the pathologist",
    }
    assert (tmp_path / "export" / rows[2]["image"]).read_bytes() == png(2)
    source = f"--source={tmp_path / 'export'}"
    options = ["--size=128", "--dry-run", "--validation-fraction=0.5"]
    prepare(["folder", source, "--label-column=label", *options])
    assert "# 4 of 4 images kept" in capsys.readouterr().out


def test_flags_of_one_picture_are_one_row_or_a_question_for_a_person(store, tmp_path, capsys):
    flag(store, png(0), "malignant", "first.png")
    flag(store, png(0), "malignant", "again.png")
    flag(store, png(1), "benign", "disputed.png")
    flag(store, png(1), "malignant", "disputed.png")
    flag(store, png(2), "", "cat.png")
    flag(store, png(3), "", "doubtful.png")
    flag(store, png(3), "benign", "doubtful.png")
    flag(store, b"\xff\xd8nothing", "benign", "broken.jpg")
    export(store, tmp_path / "export")
    said = capsys.readouterr()
    (row,) = read_rows(tmp_path / "export" / "labels.csv")
    assert row["image"].endswith("_again.png")
    assert "holds 1 of 8 flags" in said.out
    assert "left out: disputed.png: its flags disagree, benign and malignant" in said.err
    assert "left out: doubtful.png: its flags disagree, none of these and benign" in said.err
    assert "left out: broken.jpg: " in said.err
    assert "left out: 1 that show none of the classes: cat.png" in said.err


@pytest.mark.parametrize(
    "name",
    [
        "../../escaped.png",
        "/etc/passwd",
        "..",
        "",
        "C:\\moles\\a.png",
        "x" * 300,
        "日本.png",
        "a\0b",
    ],
)
def test_no_name_leads_out_of_the_directory(store, tmp_path, name):
    flag(store, png(0), "malignant", name)
    (tmp_path / "sub").mkdir()
    export(store, tmp_path / "sub" / "export")
    (row,) = read_rows(tmp_path / "sub" / "export" / "labels.csv")
    (written,) = (tmp_path / "sub" / "export" / "images").iterdir()
    assert row["image"] == f"images/{written.name}"
    assert written.suffix == ".png"
    assert written.name.isascii()
    assert len(written.name) < 100
    assert {path.name for path in tmp_path.iterdir()} == {"flags.sqlite", "sub"}


def test_mistakes_are_one_sentence_and_leave_nothing(store, tmp_path, capsys):
    output = tmp_path / "export"
    with pytest.raises(SystemExit):
        main(["--help"])
    assert capsys.readouterr().out.startswith("usage: stochconv feedback ")
    assert "there is no file of flags" in refused(
        capsys, "export", tmp_path / "none.sqlite", "--output", output
    )
    arguments = ("export", store.path, "--output", output)
    assert "there is nothing to export" in refused(capsys, *arguments)
    flag(store, png(0), "malignant")
    lost = tmp_path / "no" / "where"
    assert "lies in no directory" in refused(capsys, *arguments[:3], lost)
    assert [*tmp_path.iterdir()] == [store.path]
    export(store, output)
    before = (output / "labels.csv").read_bytes()
    assert "is there already; name another" in refused(capsys, *arguments)
    assert (output / "labels.csv").read_bytes() == before


def test_a_demo_that_writes_is_no_obstacle_to_an_export(store, tmp_path):
    flag(store, png(0), "malignant")
    with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as demo:
        demo.execute("BEGIN IMMEDIATE")
        export(store, tmp_path / "export")
        demo.execute("ROLLBACK")
    assert (tmp_path / "export" / "labels.csv").is_file()


def test_what_strangers_wrote_runs_in_no_spreadsheet_and_steers_no_terminal(
    store, tmp_path, capsys
):
    comments = ['=HYPERLINK("http://192.0.2.1","x")', "+1", "-1", "@A1", "\t=1", "\r\n \uff1d1"]
    for number, comment in enumerate([*comments, "was = benign,\n-- surely"]):
        flag(store, png(number), "malignant", "=1\x1b[31m.png", comment)
    flag(store, png(8), "", "\x1b[2J\x1b]0;evil\x07cat.png")
    flag(store, b"\xff\xd8nothing", "benign", "\x9b2Jbroken.jpg")
    export(store, tmp_path / "export")
    said = capsys.readouterr()
    assert "classes: [2J]0;evilcat.png" in said.err
    assert "left out: 2Jbroken.jpg: " in said.err
    *rows, fine = read_rows(tmp_path / "export" / "labels.csv")
    for row in rows:
        assert row["comment"].startswith("'"), row["comment"]
        assert row["image"].startswith("images/")
        assert row["label"] == "malignant"
    assert rows[0]["comment"] == "'" + comments[0]
    assert fine["comment"] == "was = benign,\n-- surely"


def test_no_two_images_are_in_memory_at_once(store, tmp_path):
    for number in range(8):
        flag(store, png(number) + bytes(2_000_000), "malignant")
    tracemalloc.start()
    export(store, tmp_path / "export")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 7_000_000
    assert len([*(tmp_path / "export" / "images").iterdir()]) == 8


def test_directories_of_others_are_left_alone_and_a_full_disk_leaves_none(
    store, tmp_path, capsys, monkeypatch
):
    mine = tmp_path / "export.part"
    mine.mkdir()
    (mine / "notes.txt").write_text("precious")
    flag(store, png(0), "malignant")
    with monkeypatch.context() as patched:
        patched.setattr(csv, "writer", on_a_full_disk)
        error = refused(capsys, "export", store.path, "--output", tmp_path / "export")
    assert "No space left on device" in error
    assert {*tmp_path.iterdir()} == {store.path, mine}
    export(store, tmp_path / "export")
    assert {*tmp_path.iterdir()} == {store.path, mine, tmp_path / "export"}
    assert (mine / "notes.txt").read_text() == "precious"


def on_a_full_disk(file):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_an_export_is_its_owners_alone(store, tmp_path):
    flag(store, png(0), "malignant")
    export(store, tmp_path / "export")
    written = [tmp_path / "export", *(tmp_path / "export").rglob("*")]
    assert len(written) == 4
    assert not [path for path in written if stat.S_IMODE(path.stat().st_mode) & 0o077]
