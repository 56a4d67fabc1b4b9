"""Does detail matter? Images whose classes differ in detail alone, and a tiny network to look."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from shallow_efficientnet import NAME, SHALLOW
from support import noise_image, write_rows

from stochconv_jax.data.pipeline.batches import decode
from stochconv_jax.data.preparation.command import main as prepare
from stochconv_jax.data.preparation.folder import FolderTable, read_folder
from stochconv_jax.errors import InputError
from stochconv_jax.keys import Purpose, run_key
from stochconv_jax.models import create_model
from stochconv_jax.models.parameter_names import parameters_by_name
from stochconv_jax.models.weights.safetensors_file import write_safetensors_file
from stochconv_jax.ops import sample_windows
from stochconv_jax.probing import images
from stochconv_jax.probing.command import main
from stochconv_jax.probing.features import window_corners, without_detail
from stochconv_jax.probing.images import folder_images, prepared_images
from stochconv_jax.probing.inputs import INPUTS, given_size

SIDE = 64
COUNT = 60
FULL = ("whole", 1, 0)


def textured(number):
    """Returns chequers or stripes, which no square of two by two pixels tells apart by its mean."""
    rng = np.random.default_rng(number)
    rows, columns = np.indices((SIDE, SIDE))
    detail = (rows + columns) % 2 if number % 2 else columns % 2
    coarse = np.kron(rng.integers(60, 196, (4, 4)), np.ones((SIDE // 4, SIDE // 4)))
    grey = coarse + 80 * (detail - 0.5) + rng.normal(0, 8, (SIDE, SIDE))
    return Image.fromarray(np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sixty images of twenty patients, and a file that is none."""
    directory = tmp_path_factory.mktemp("folder")
    for number in range(COUNT):
        textured(number).save(directory / f"{number}.png")
    (directory / "broken.png").write_bytes(b"no image")
    rows = [[f"{n}.png", ("stripes", "chequers")[n % 2], f"p{n // 3}"] for n in range(COUNT)]
    broken = ["broken.png", "stripes", "p0"]
    write_rows(directory / "labels.csv", [["image", "texture", "patient"], *rows, broken])
    return directory


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A small network's weights, as nobody trained them."""
    model = create_model(SHALLOW, seed=0, branches=("global",))
    arrays = {name: np.array(held[0]) for name, held in parameters_by_name(model).items()}
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    write_safetensors_file(path, arrays, {"backbone": NAME})
    return path


def arguments(folder, weights, output):
    columns = ["--label-column", "texture", "--group-column", "patient"]
    return [
        *("folder", "--source", str(folder), *columns),
        *("--output", str(output), "--weights", str(weights), "--processes", "1"),
    ]


@pytest.fixture(scope="module")
def probed(folder, weights, tmp_path_factory):
    """What the command left of the folder."""
    output = tmp_path_factory.mktemp("probe") / "output"
    main(arguments(folder, weights, output))
    return output


def rows_of(output):
    rows = json.loads((output / "probe.json").read_text())["inputs"]
    return {(row["input"], row["shrunk_by"], row["windows"]): row for row in rows}


def test_detail_is_found_where_it_is_and_missed_where_it_is_shrunk_away(probed):
    rows = rows_of(probed)
    assert rows[FULL]["roc_auc"] > 0.95
    assert rows["windows", None, 16]["interval"][0] > 0.7
    assert rows["whole", 2, 0]["roc_auc"] < 0.7
    assert rows["whole", 4, 0]["roc_auc"] < 0.7
    assert rows["both", 4, 16]["gain_of_windows_interval"][0] > 0.1


def test_the_json_has_a_row_for_each_input_with_its_interval_and_cost(probed):
    rows = rows_of(probed)
    assert set(rows) == {tuple(each) for each in INPUTS}
    assert {key[1] for key in rows if key[0] == "whole"} == {1, 2, 4, 8, 16}
    for row in rows.values():
        low, high = row["interval"]
        assert 0 <= low <= row["roc_auc"] <= high <= 1
    assert rows[FULL]["pixels"] == rows["windows", None, 16]["pixels"] == SIDE**2
    assert rows["both", 4, 1]["pixels"] == 2 * (SIDE // 4) ** 2


def test_the_page_stands_alone_and_begins_with_the_advice(probed):
    page = (probed / "probe.html").read_text()
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    body = page[page.index("<body>") :]
    assert body.index("Windows at full detail bring") < body.index("<img") < body.index("<table")
    assert "broken.png: not an image" in page
    with Image.open(probed / "probe.png") as picture:
        assert picture.width > 500


def test_a_second_call_computes_nothing_and_says_the_same(folder, weights, probed, capsys):
    kept = [*probed.glob("features/*/*"), *probed.glob("scores/*")]
    assert len(kept) == COUNT + len(INPUTS)
    times = {file: file.stat().st_mtime_ns for file in kept}
    before = (probed / "probe.json").read_bytes()
    main(arguments(folder, weights, probed))
    assert (probed / "probe.json").read_bytes() == before
    assert {file: file.stat().st_mtime_ns for file in times} == times
    assert "left out: broken.png: not an image" in capsys.readouterr().err


def test_a_call_that_was_interrupted_goes_on(folder, weights, probed):
    features = sorted(probed.glob("features/*/*"))
    before = (probed / "probe.json").read_bytes()
    for file in features[:7]:
        file.unlink()
    times = {file: file.stat().st_mtime_ns for file in features[7:]}
    main(arguments(folder, weights, probed))
    assert {file: file.stat().st_mtime_ns for file in times} == times
    assert sorted(probed.glob("features/*/*")) == features
    assert (probed / "probe.json").read_bytes() == before


def test_prepared_images_say_the_same_as_the_folder_that_they_were_prepared_from(
    folder, weights, probed, tmp_path
):
    source, output = tmp_path / "prepared", tmp_path / "output"
    columns = ["--label-column", "texture", "--group-column", "patient", "--size", str(SIDE)]
    made = ["--output", str(source), "--processes", "1", "--near-duplicate-distance", "-1"]
    prepare(["folder", "--source", str(folder), *columns, *made])
    found = prepared_images(source, "target").dataset
    assert decode(found.records[5]["image"]).shape == (SIDE, SIDE, 3)
    given = ["--output", str(output), "--weights", str(weights)]
    main(["prepared", "--source", str(source), *given])
    assert len([*output.glob("features/*/*")]) == COUNT
    assert (output / "probe.json").read_bytes() == (probed / "probe.json").read_bytes()


def test_the_windows_of_an_image_are_its_own_and_fewer_are_the_first_of_more():
    digests = ["00ff00ff" * 8, "12345678" * 8]
    corners = window_corners(digests, (SIDE, SIDE), seed=3)
    np.testing.assert_array_equal(window_corners(digests[1:], (SIDE, SIDE), 3), corners[1:])
    four = sample_windows(
        run_key(3, Purpose.PROBING),
        1,
        4,
        (SIDE, SIDE),
        (SIDE // 4, SIDE // 4),
        image_index=np.array([0x12345678 >> 1]),
        placement="even",
    )
    np.testing.assert_array_equal(four[0], corners[1, :4])


def test_what_is_shrunk_is_enlarged_to_what_the_network_knows_and_no_further():
    assert given_size((600, 900), 2) == (300, 450)
    assert given_size((600, 900), 8) == (224, 336)
    assert given_size((64, 96), 4) == (64, 96)
    chequers = np.asarray(textured(1))
    assert without_detail(chequers, 1) is chequers
    blurred = without_detail(chequers, 2)
    assert blurred.shape == chequers.shape
    assert np.abs(np.diff(blurred[:16, :16].astype(int), axis=1)).max() < 20


def test_a_missing_table_a_file_for_output_and_missing_weights_end_with_one_sentence(
    folder, weights, tmp_path, monkeypatch, capsys
):
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    known = ["folder", "--source", str(folder), "--label-column", "texture"]
    for wrong, said in (
        (["--output", "probe", "--table", "nowhere.csv"], "'nowhere.csv' is not a file"),
        (["--output", "file"], "--output file is a file"),
        (["--output", "probe", "--group-column", "clinic"], "has no column 'clinic'"),
        (["--output", "probe", "--seed", "-1"], "--seed is -1; use a number from 0"),
        (["--output", "probe", "--seed", str(2**32)], "--seed is 4294967296; use a number"),
        (["--output", "probe"], "run make weights"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main([*known, *wrong])
        error = capsys.readouterr().err
        assert (stopped.value.code, error.count("\n")) == (2, 1)
        assert said in error
    with pytest.raises(SystemExit):
        main(["prepared", "--source", "nowhere", "--output", "probe", "--weights", str(weights)])
    assert "--source nowhere holds no manifest.csv" in capsys.readouterr().err
    assert not (tmp_path / "probe").exists()


def test_one_class_and_too_small_images_are_refused(tmp_path):
    for number in range(6):
        noise_image(number, (40, 40)).save(tmp_path / f"{number}.png")
    rows = [[f"{number}.png", "a", f"p{number}"] for number in range(6)]
    write_rows(tmp_path / "labels.csv", [["image", "target", "group"], *rows])
    photographs = read_folder(FolderTable(str(tmp_path), "labels.csv", "image", "target"))
    with pytest.raises(InputError, match="one class only"):
        folder_images(photographs, None, tmp_path / "output", 1)
    with pytest.raises(InputError, match=r"too small .* 16 pixels or more"):
        folder_images(photographs, (8, 40), tmp_path / "output", 1)


def test_full_size_is_the_median_size_in_multiples_of_32(tmp_path, monkeypatch):
    for number, size in enumerate([(70, 100), (70, 110), (300, 400)]):
        noise_image(number, size).save(tmp_path / f"{number}.png")
    rows = [[f"{number}.png", "ab"[number % 2]] for number in range(3)]
    write_rows(tmp_path / "labels.csv", [["image", "target"], *rows])
    photographs = read_folder(FolderTable(str(tmp_path), "labels.csv", "image", "target"))
    found = folder_images(photographs, None, tmp_path / "output", 1)
    assert (found.dataset.framing.size, found.larger) == ((64, 96), None)
    monkeypatch.setattr(images, "MOST_PIXELS", 70 * 64)
    found = folder_images(photographs, None, tmp_path / "output", 1)
    assert (found.dataset.framing.size, found.larger) == ((32, 64), (70, 110))
