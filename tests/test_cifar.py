"""CIFAR's binary layouts: tiny ones made here, and a part of the real files where it is at hand."""

import pathlib
import zipfile

import numpy as np
import pytest

from stochconv_jax.data.dataset.manifest import read_manifest
from stochconv_jax.data.dataset.prepared import Opening, open_prepared
from stochconv_jax.data.pipeline.batches import decode
from stochconv_jax.data.preparation import command
from stochconv_jax.data.preparation.cifar import LAYOUTS, read_cifar
from stochconv_jax.errors import InputError

REAL = pathlib.Path(__file__).parents[2] / "shared" / "data" / "cifar_subset.zip"
COLOURS = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200]])


def write_binary(root, classes, per_file=12, named=True):
    """Images of one colour each, their label's, with the right half darker."""
    layout = LAYOUTS[classes]
    directory = root / layout.directory
    directory.mkdir()
    rng = np.random.default_rng(0)
    for file in (*layout.train, layout.test):
        records = []
        for number in range(per_file):
            label = number % 3
            image = np.tile(COLOURS[label], (32, 32, 1)) + rng.integers(-20, 20, (32, 32, 3))
            image[:, 16:] -= 10
            planes = image.transpose(2, 0, 1).astype(np.uint8).ravel()
            labels = [label] if layout.label_bytes == 1 else [19, label]
            records.append(np.concatenate([np.array(labels, np.uint8), planes]))
        np.concatenate(records).tofile(directory / file)
    if named:
        names = "".join(f"name{number:03d}\n" for number in range(classes))
        (directory / layout.names).write_text(names + "\n")
    return directory


@pytest.mark.parametrize("classes", [10, 100])
def test_official_parts_train_and_test_and_validation_is_drawn(tmp_path, classes, capsys):
    directory = write_binary(tmp_path, classes)
    output = tmp_path / "out"
    arguments = ["cifar", "--source", str(tmp_path), "--classes", str(classes)]
    arguments += ["--output", str(output), "--processes", "1", "--validation-fraction", "0.25"]
    command.main(arguments)
    whole = 10_000 if classes == 10 else 50_000
    assert (
        f"{directory / LAYOUTS[classes].train[0]} is a part: 12 of {whole} images"
        in capsys.readouterr().out
    )
    rows = read_manifest(output / "manifest.csv")
    train = 12 * len(LAYOUTS[classes].train)
    splits = [row.split for row in rows]
    assert len(rows) == train + 12
    assert set(splits[:train]) == {"train", "validation"}
    assert splits.count("validation") == train // 4
    assert set(splits[train:]) == {"test"}
    assert {row.target for row in rows} == {"name000", "name001", "name002"}
    dataset = open_prepared(output, Opening(size=(32, 32)))
    for place in (0, 1, train + 2):
        label = int(dataset.examples[place].label.removeprefix("name"))
        image = decode(dataset.records[place]["image"])
        np.testing.assert_allclose(image[:, :16].mean(axis=(0, 1)), COLOURS[label], atol=4)
        assert image[:, :14].mean() > image[:, 18:].mean() + 4
    assert not (output / "work").exists()
    written = (output / "manifest.csv").read_bytes()
    command.main(arguments)
    assert (output / "manifest.csv").read_bytes() == written, "the same command changes nothing"
    capsys.readouterr()
    (directory / LAYOUTS[classes].names).unlink()
    assert read_cifar(directory, classes).targets[:2] == ["class 00", "class 01"]


def test_a_dry_run_leaves_nothing(tmp_path, capsys):
    write_binary(tmp_path, 100)
    before = sorted(tmp_path.rglob("*"))
    command.main(["cifar", "--source", str(tmp_path), "--classes", "100", "--dry-run"])
    assert "# 24 of 24 images kept" in capsys.readouterr().out
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (lambda d: (d / "test_batch.bin").unlink(), "test_batch.bin is not there; --source names"),
        (
            lambda d: (d / "data_batch_2.bin").write_bytes(bytes(3073 * 2 + 5)),
            "data_batch_2.bin has 6151 bytes, not a whole number of records of 3073",
        ),
        (lambda d: (d / "data_batch_3.bin").write_bytes(b""), "has 0 bytes, not a whole number"),
        (
            lambda d: (d / "data_batch_4.bin").write_bytes(b"\x0a" + bytes(3072)),
            "data_batch_4.bin has the label 10; it is not of CIFAR-10",
        ),
        (lambda d: (d / "batches.meta.txt").write_text("cat\n"), "has 1 names; CIFAR-10 has 10"),
    ],
)
def test_mistakes_are_one_sentence_and_write_nothing(tmp_path, capsys, break_it, sentence):
    break_it(write_binary(tmp_path, 10))
    with pytest.raises(SystemExit) as stopped:
        command.main(["cifar", "--source", str(tmp_path), "--output", str(tmp_path / "out")])
    assert stopped.value.code == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_test_fraction_beside_an_official_test_is_refused(tmp_path, capsys):
    write_binary(tmp_path, 100)
    arguments = ["cifar", "--source", str(tmp_path), "--classes", "100", "--dry-run"]
    with pytest.raises(SystemExit):
        command.main([*arguments, "--processes", "1", "--test-fraction", "0.2"])
    assert "come with a test split and --test-fraction is 0.2" in capsys.readouterr().err


@pytest.mark.skipif(not REAL.is_file(), reason="no part of CIFAR beside the project")
def test_the_real_files_are_read(tmp_path):
    zipfile.ZipFile(REAL).extractall(tmp_path)
    ten, hundred = read_cifar(tmp_path, 10), read_cifar(tmp_path, 100)
    assert (ten.parts.count("train"), ten.parts.count("test")) == (5170, 1017)
    assert (hundred.parts.count("train"), hundred.parts.count("test")) == (486, 916)
    # The best known of its images: a frog, two trucks; and for the test a cat and two ships.
    assert ten.targets[:3] == ["frog", "truck", "truck"]
    assert ten.targets[5170:5173] == ["cat", "ship", "ship"]
    assert len(set(ten.targets)) == 10
    # Natural images have more blue above than below, and neighbours that resemble each other.
    blue = ten.pixels[..., 2].mean(axis=(0, 2))
    assert blue[:8].mean() > blue[-8:].mean() + 10
    steps = np.abs(np.diff(ten.pixels.astype(int), axis=2)).mean()
    assert steps < 0.3 * ten.pixels.std()
    (tmp_path / "cifar-100-binary" / "test.bin").write_bytes(bytes(5))
    with pytest.raises(InputError, match="not a whole number of records of 3074"):
        read_cifar(tmp_path, 100)
