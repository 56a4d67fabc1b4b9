"""Two thousand damaged images and as many tables, of other seeds than those of the quick tests."""

import collections
import random

import pytest
from fuzzed_folder import check_image, check_table, write_images
from support import read_rows

from stochconv_jax.evaluation.evaluate import evaluate
from stochconv_jax.runs.run import Run

COUNT = 2000
PER_FOLDER = 20
PER_TABLE = 400


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


def test_an_external_evaluation_tells_of_every_row(straight, prepared, tmp_path, capsys):
    judged = kept = 0
    for number in range(COUNT // PER_TABLE):
        rng = random.Random(20_000 + number)
        directory = tmp_path / str(number)
        directory.mkdir()
        names = write_images(directory, PER_TABLE, rng)
        lines = [f"{name},{('benign', 'malignant')[n % 2]}" for n, name in enumerate(names)]
        (directory / "labels.csv").write_text("\n".join(["image,target", *lines]) + "\n")
        config = Run.open(straight).config.copy_and_resolve_references().unlock()
        config.data.prepared_directory = str(tmp_path / "prepared" / str(number))
        output = str(tmp_path / "out")
        evaluate(config.lock(), straight, str(directory), label_column="target", output=output)
        (manifest,) = (tmp_path / "prepared" / str(number)).glob("*/manifest.csv")
        rows = read_rows(manifest)
        assert [row["id"] for row in rows] == names
        assert all(row["reason"] for row in rows if row["kept"] != "yes")
        predicted = [row["id"] for row in read_rows(tmp_path / "out" / "predictions.csv")]
        assert predicted == [row["id"] for row in rows if row["kept"] == "yes"]
        assert "left out: " in capsys.readouterr().out
        judged, kept = judged + len(rows), kept + len(predicted)
    print(f"{kept} of {judged} images were judged, the others told")
    assert COUNT / 5 < kept < judged == COUNT
