import csv

import numpy as np
import pytest
from PIL import Image

from stochconv_jax.data.image_dataset import encode
from stochconv_jax.data.image_folder import ImageFolder, ImageFolderConfig, read_image, read_table
from stochconv_jax.data.load import order_classes
from stochconv_jax.data.pipeline import decode
from stochconv_jax.errors import InputError


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for number in range(12):
        pixels = rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"mole_{number}.png")
        label = "melanoma" if number < 6 else "nevus"
        rows.append([f"mole_{number}.png", label, f"p{number // 2}"])
    write_table(tmp_path, rows)
    return tmp_path


def write_table(folder, rows, header=("file", "diagnosis", "patient"), encoding="utf-8"):
    with (folder / "moles.csv").open("w", newline="", encoding=encoding) as file:
        csv.writer(file).writerows([header, *rows])


def read(folder, **changes):
    arguments = {
        "directory": str(folder),
        "table": "moles.csv",
        "image_column": "file",
        "label_column": "diagnosis",
        "group_column": "patient",
    }
    return read_table(**(arguments | changes))


def test_table_columns_become_examples_in_order(folder):
    files, examples = read(folder)
    assert [file.name for file in files] == [f"mole_{number}.png" for number in range(12)]
    assert examples[7] == ("mole_7.png", "nevus", "p3", "")


def test_extensions_may_be_left_out_and_byte_order_marks_do_not_matter(folder):
    write_table(
        folder, [["mole_1", "nevus", "a"], ["mole_2", "melanoma", "b"]], encoding="utf-8-sig"
    )
    files, _ = read(folder)
    assert [file.name for file in files] == ["mole_1.png", "mole_2.png"]


def test_prepared_images_are_the_files_resized(folder, tmp_path):
    files, examples = read(folder)
    config = ImageFolderConfig(files=files, examples=examples, size=(10, 16))
    dataset = ImageFolder(data_dir=str(tmp_path / "prepared"), config=config).load(
        ("nevus", "melanoma"), 0.34, 0.0, 0
    )
    assert dataset.classes == ("nevus", "melanoma")
    assert dataset.labels[0] == 1
    for index in (0, 11):
        prepared = decode(dataset.records[index]["image"]).astype(int)
        assert prepared.shape == (10, 16, 3)
        assert np.abs(prepared - read_image(files[index], (10, 16))).mean() < 4
    groups = [example.group for example in dataset.examples]
    held = {g for g, split in zip(groups, dataset.splits, strict=True) if split == "validation"}
    assert held
    assert not held & {g for g, s in zip(groups, dataset.splits, strict=True) if s == "train"}


def test_given_splits_are_kept(folder, tmp_path):
    splits = ["train"] * 6 + ["validation"] * 4 + ["train"] * 2
    rows = [[f"mole_{n}.png", "ab"[n % 2], split] for n, split in enumerate(splits)]
    write_table(folder, rows, header=("file", "diagnosis", "fold"))
    files, examples = read(folder, group_column="", split_column="fold")
    config = ImageFolderConfig(files=files, examples=examples, size=(8, 8))
    dataset = ImageFolder(data_dir=str(tmp_path / "prepared"), config=config).load(
        ("a", "b"), 0.2, 0.0, 0
    )
    assert list(dataset.indices("validation")) == [6, 7, 8, 9]
    with pytest.raises(InputError, match="the test split has no images"):
        dataset.indices("test")


def test_a_changed_file_is_prepared_anew(folder):
    files, examples = read(folder)
    name = ImageFolderConfig(files=files, examples=examples).name
    assert ImageFolderConfig(files=files, examples=examples).name == name
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(files[0])
    assert ImageFolderConfig(files=files, examples=examples).name != name


def test_photographs_are_turned_upright(tmp_path):
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:, :10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    upright = read_image(tmp_path / "turned.jpg", (30, 20))
    assert upright[:8].mean() > 240
    assert upright[12:].mean() < 15


def test_grey_and_transparent_images_become_rgb_and_deep_ones_are_refused(tmp_path):
    grey, clear, deep = (tmp_path / f"{name}.png" for name in ("grey", "clear", "deep"))
    Image.new("L", (8, 8), 77).save(grey)
    Image.new("RGBA", (8, 8), (200, 0, 0, 0)).save(clear)
    Image.fromarray(np.full((8, 8), 4000, np.uint16)).save(deep)
    assert (read_image(grey, (4, 4)) == 77).all()
    assert (read_image(clear, (4, 4)) == 255).all()
    with pytest.raises(InputError, match=r"deep\.png has I;16 pixels"):
        read_image(deep, (4, 4))


def test_what_cannot_be_used_is_named(folder):
    cases = [
        ({"directory": str(folder / "no")}, "data.directory .* is not a directory"),
        ({"table": "no.csv"}, "data.table 'no.csv' is not a file"),
        (
            {"label_column": "dx"},
            "no column 'dx'; set data.label_column to one of: file, diagnosis",
        ),
        ({"split_column": "patient"}, "row 2 has the split 'p0'"),
    ]
    for changes, message in cases:
        with pytest.raises(InputError, match=message):
            read(folder, **changes)
    bad_rows = [
        (["mole_99.png", "nevus", "a"], "lists mole_99.png, which is not in"),
        (["mole_1.png", "", "a"], "row 2 has no label"),
    ]
    for row, message in bad_rows:
        write_table(folder, [row])
        with pytest.raises(InputError, match=message):
            read(folder)
    write_table(folder, [["mole_1.png", "nevus", "a"]] * 2)
    with pytest.raises(InputError, match=r"row 3 lists mole_1.png again"):
        read(folder)
    write_table(folder, [["mole_1.png", "nevus", ""], ["mole_2.png", "melanoma", ""]])
    with pytest.raises(InputError, match=r"the column 'patient' of .* is empty"):
        read(folder)
    write_table(folder, [])
    with pytest.raises(InputError, match="a header and no rows"):
        read(folder)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", "truncated"])
def test_an_unreadable_image_is_named_and_nothing_is_left_half_prepared(folder, tmp_path, content):
    files, examples = read(folder)
    if content == "truncated":
        pixels = np.random.default_rng(0).integers(0, 256, (99, 99, 3)).astype(np.uint8)
        content = encode(pixels)[:2000]
    files[5].write_bytes(content)
    config = ImageFolderConfig(files=files, examples=examples, size=(8, 8))
    builder = ImageFolder(data_dir=str(tmp_path / "prepared"), config=config)
    with pytest.raises(InputError, match=r"mole_5.png cannot be read as an image"):
        builder.load(("melanoma", "nevus"), 0.25, 0.0, 0)
    assert not list((tmp_path / "prepared").rglob("*array_record*"))


def test_class_order():
    assert order_classes({"10", "9", "-1"}, "") == ("-1", "9", "10")
    assert order_classes({"nevus", "melanoma"}, "") == ("melanoma", "nevus")
    assert order_classes({"nevus", "melanoma"}, "melanoma") == ("nevus", "melanoma")
    with pytest.raises(InputError, match="one class only"):
        order_classes({"nevus"}, "")
    with pytest.raises(InputError, match=r"data.positive_class is 'mel'"):
        order_classes({"nevus", "melanoma"}, "mel")
