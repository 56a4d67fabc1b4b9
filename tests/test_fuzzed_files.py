"""Images and tables that are damaged or odd: each is used, or named with the reason why not."""

import random

import numpy as np
import pytest
from fuzzed_folder import check_image, check_table, write_images
from hypothesis import given
from hypothesis import strategies as st
from image_files import KINDS, REFUSED, image_file
from PIL import Image
from support import read_rows, write_rows

from stochconv_jax.data.preparation.command import main as prepare
from stochconv_jax.data.preparation.folder import FolderTable, read_folder
from stochconv_jax.data.preparation.inspection import inspect_file
from stochconv_jax.errors import InputError
from stochconv_jax.prediction.command import main as predict

SEEDS = st.integers(0, 2**32)


@pytest.mark.parametrize("kind", KINDS)
def test_whole_files_of_every_kind_are_used_or_their_kind_refused(kind, tmp_path):
    for seed in range(4):
        path = tmp_path / kind
        path.write_bytes(image_file(kind, random.Random(seed)))
        assert check_image(path).startswith(REFUSED.get(kind, ""))
        assert bool(inspect_file(path).problem) == (kind in REFUSED)


@given(SEEDS)
def test_damaged_images_are_used_alike_in_preparation_and_prediction_or_named(tmp_path, seed):
    rng = random.Random(seed)
    for name in write_images(tmp_path, 20, rng):
        check_image(tmp_path / name)


@given(SEEDS)
def test_no_row_of_a_table_is_lost(tmp_path, seed):
    rng = random.Random(seed)
    names = write_images(tmp_path, 6, rng)
    for _ in range(20):
        check_table(tmp_path, names, rng)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('image,target\n"a.png,x\nb.png,y\n', "unexpected end of data"),
        ('image,target\n"a.png,x\nb.png",y\n', "line 3: .*'image'.* look like rows"),
        (
            'image,target,note\na.png,x,"\nb.png,y,z\nc.png,x,"\n',
            "line 4: .*'note'.* look like rows",
        ),
        ('image,target,note\na.png,"x,\nb.png,y",z\n', "line 3: .*'target'.* look like rows"),
        ('image,target,note\na.png,"x,\nb.png,y,z"\n', "line 3: .*'target'.* look like rows"),
        ("image,target\na.png,x,y\n", "line 2 has more cells than the header"),
        ("image,target,target\na.png,x,y\n", "two columns 'target'"),
        ("image,target\na.png,x\0\n", "zero bytes"),
    ],
)
def test_a_table_of_which_a_row_would_be_lost_or_misread_is_refused(text, sentence, tmp_path):
    (tmp_path / "labels.csv").write_text(text)
    folder = FolderTable(str(tmp_path), "labels.csv", "image", "target")
    with pytest.raises(InputError, match=sentence):
        read_folder(folder)


@pytest.mark.parametrize(
    "note",
    ["Itching, redness, warmth\nsince May", "Seen twice\nred, warm, itching, sore\n", ",\n,"],
)
def test_a_note_of_several_lines_with_commas_is_no_row(note, tmp_path):
    table = [["image", "note", "target", "patient"], ["a.png", note, "x", "1"]]
    write_rows(tmp_path / "labels.csv", table)
    folder = FolderTable(str(tmp_path), "labels.csv", "image", "target")
    (photograph,) = read_folder(folder)
    assert photograph.target == "x"


def test_what_looks_the_same_is_one_class_one_group_and_one_file(tmp_path):
    (tmp_path / "Zoe\u0308.png").write_bytes(image_file("rgb.png", random.Random(0)))
    header = ["image", "target", "patient"]
    write_rows(
        tmp_path / "labels.csv",
        [header, ["Zo\u00eb.png", "nai\u0308f", "Jose\u0301"], ["b.png", "na\u00eff", "Jos\u00e9"]],
    )
    folder = FolderTable(str(tmp_path), "labels.csv", "image", "target", "patient")
    first, second = read_folder(folder)
    assert first.path == tmp_path / "Zoe\u0308.png"
    assert (first.target, first.group) == (second.target, second.group)


def test_the_commands_name_every_file(straight, tmp_path, capsys):
    folder, output = tmp_path / "images", tmp_path / "prepared"
    folder.mkdir()
    names = write_images(folder, 12, random.Random(1))
    for number in range(4):
        names.append(f"good{number}.png")
        noise = np.random.default_rng(number).integers(0, 256, (40, 40, 3)).astype(np.uint8)
        Image.fromarray(noise).save(folder / names[-1])
    names.append("nowhere.png")
    table = [["image", "target"], *([name, "ab"[n % 2]] for n, name in enumerate(names))]
    write_rows(folder / "labels.csv", table)
    flags = ["--size=16", "--minimum-size=1", "--processes=1"]
    prepare(["folder", f"--source={folder}", f"--output={output}", *flags])
    rows = read_rows(output / "manifest.csv")
    assert [row["id"] for row in rows] == names
    assert all(row["kept"] == "yes" or row["reason"] for row in rows)
    files = [str(folder / name) for name in names]
    predict([str(straight), *files, f"--output={tmp_path / 'predictions.csv'}"])
    found = read_rows(tmp_path / "predictions.csv")
    assert [row["image"] for row in found] == files
    for row, told in zip(rows, found, strict=True):
        assert bool(told["problem"]) == bool(told["probability"] == "")
        if row["kept"] == "yes":
            assert not told["problem"]
    said = capsys.readouterr()
    assert "Traceback" not in said.err
