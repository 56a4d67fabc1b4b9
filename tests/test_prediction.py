"""Photographs that a run has never seen: in every format, beside broken ones."""

import shutil

import numpy as np
import pytest
from PIL import Image
from support import noise_image, read_rows

import stochconv_jax
from stochconv_jax.data.pipeline.batches import decode
from stochconv_jax.errors import InputError
from stochconv_jax.inference.photographs import frame_photograph
from stochconv_jax.prediction.command import main
from stochconv_jax.runs.run import Run


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """One picture in many formats and sizes, and files that are none."""
    folder = tmp_path_factory.mktemp("photographs")
    picture = noise_image(0, (90, 120)).resize((480, 360), Image.Resampling.BICUBIC)
    picture.save(folder / "a.jpg", quality=95)
    picture.save(folder / "b.png")
    picture.save(folder / "c.webp", lossless=True)
    picture.convert("CMYK").save(folder / "d.jpg")
    deep = np.asarray(picture.convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(folder / "e.png")
    picture.resize((3000, 2250)).save(folder / "f.jpg")
    (folder / "g.jpg").write_bytes((folder / "a.jpg").read_bytes()[:5000])
    (folder / "h.png").write_text("<html>not an image</html>")
    return folder


def predict(*arguments):
    main([str(argument) for argument in arguments])


def test_every_format_is_predicted_and_broken_files_are_named(
    straight, photographs, tmp_path, capsys
):
    output = tmp_path / "out.csv"
    predict(straight, photographs, photographs / "absent.jpg", "--output", output, "--draws", 3)
    rows = {row["image"].rpartition("/")[2]: row for row in read_rows(output)}
    assert list(rows) == [f"{name}" for name in sorted(p.name for p in photographs.iterdir())] + [
        "absent.jpg"
    ]
    assert list(rows["a.jpg"]) == ["image", "probability", "spread", "decision", "problem"]
    for name in ("a.jpg", "b.png", "c.webp", "d.jpg", "e.png", "f.jpg"):
        row = rows[name]
        assert 0 < float(row["probability"]) < 1
        assert float(row["spread"]) >= 0
        assert row["decision"] in ("benign", "malignant")
        assert not row["problem"]
    for name, problem in {
        "g.jpg": "damaged",
        "h.png": "not an image but a web page",
        "absent.jpg": "cannot be read: No such file",
    }.items():
        assert problem in rows[name]["problem"]
        assert rows[name]["probability"] == rows[name]["decision"] == ""
    said = capsys.readouterr()
    assert "6 of 9 images are predicted" in said.out
    assert said.err.count("not predicted: ") == 3
    page = output.with_suffix(".html").read_text()
    assert page.count("data:image/jpeg;base64,") == 6
    assert "://" not in page
    framing = Run.open(straight).framing
    png, webp = (frame_photograph(photographs / name, framing) for name in ("b.png", "c.webp"))
    assert png.jpeg == webp.jpeg  # both keep every pixel


def test_a_photograph_is_framed_as_the_runs_images_were(straight, tmp_path):
    """What evaluation read from the records, prediction makes of a lossless copy again."""
    run = Run.open(straight)
    record = run.load_dataset().records[3]["image"]
    Image.fromarray(decode(record)).save(tmp_path / "copy.png")
    framed = frame_photograph(tmp_path / "copy.png", run.framing)
    apart = np.abs(decode(framed.jpeg).astype(int) - decode(record).astype(int))
    assert apart.mean() < 1.5


def test_from_python_paths_arrays_and_images_are_the_same(straight, photographs):
    run = stochconv_jax.load_run(straight, draws=2)
    path = photographs / "b.png"
    with Image.open(path) as picture:
        found = run.predict([path, str(path), np.asarray(picture), picture])
    assert found.logits.shape == (4, 2, 1)
    assert found.probabilities.shape == (4, 2)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    # One content, one index, one draw of windows: files by their bytes, arrays by their pixels.
    np.testing.assert_array_equal(found.logits[0], found.logits[1])
    np.testing.assert_allclose(found.logits[2], found.logits[3], rtol=1e-4, atol=1e-5)
    assert set(found.decisions) <= {"benign", "malignant"}


def test_a_prediction_does_not_depend_on_what_else_is_predicted(straight, photographs):
    names = [photographs / name for name in ("a.jpg", "b.png", "d.jpg", "f.jpg", "e.png")]
    together = stochconv_jax.load_run(straight).predict(names)
    alone = stochconv_jax.load_run(straight, batch_size=4).predict(names[3:4])
    np.testing.assert_allclose(alone.logits[0], together.logits[3], rtol=1e-4, atol=1e-5)


def test_the_threshold_is_the_one_chosen_on_validation(straight, photographs, tmp_path, capsys):
    run = stochconv_jax.load_run(straight)
    assert "on the run's validation split" in run.threshold_note
    assert (straight / "thresholds.json").is_file()
    # Where the images of the run are no longer there, what was chosen still holds.
    copy = tmp_path / "handed over"
    shutil.copytree(straight, copy)
    config = copy / "config.json"
    place = Run.open(straight).config.data.prepared_directory
    config.write_text(config.read_text().replace(place, "/nowhere/at/all"))
    assert stochconv_jax.load_run(copy).threshold == run.threshold


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{run}", "{photographs}/h.png", "--output", "{tmp}/o.csv"], "none of the 1 files could"),
        (["{tmp}", "{photographs}"], "is not the directory of a run"),
        (["{run}", "{empty}"], "holds no image"),
        (["{run}", "{photographs}", "--output", "{tmp}/x/o.csv"], "lies in no directory"),
        (["{run}", "{photographs}", "--output", "{tmp}/o.txt"], "is not the name of a CSV"),
        (["{run}", "{photographs}", "--draws", "-1"], "--draws is -1; it must be 1 or more"),
    ],
)
def test_mistakes_are_one_sentence(straight, photographs, tmp_path, capsys, arguments, sentence):
    (tmp_path / "empty").mkdir()
    places = {
        "run": straight,
        "photographs": photographs,
        "tmp": tmp_path,
        "empty": tmp_path / "empty",
    }
    with pytest.raises(SystemExit) as stopped:
        predict(*(argument.format(**places) for argument in arguments))
    assert stopped.value.code == 2
    assert sentence in capsys.readouterr().err


def test_a_broken_image_in_python_is_an_error(straight, photographs):
    run = stochconv_jax.load_run(straight)
    with pytest.raises(InputError, match=r"g\.jpg: damaged"):
        run.predict([photographs / "a.jpg", photographs / "g.jpg"])
    with pytest.raises(InputError, match="no image is given"):
        run.predict([])
    with pytest.raises(InputError, match=r"image 0: an array of float64 \(2, 2\)"):
        run.predict([np.zeros((2, 2))])
