"""EyePACS as it is downloaded: eyes of one patient stay together, the official test tests."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from support import write_rows

from stochconv_jax.data.dataset.manifest import read_manifest
from stochconv_jax.data.preparation import command
from stochconv_jax.data.preparation.eyepacs import read_eyepacs


def draw(path, seed):
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (96, 80))
    pen = ImageDraw.Draw(image)
    for _ in range(15):
        (x, y), radius = rng.integers(0, 90, 2), rng.integers(4, 25)
        colour = tuple(rng.integers(0, 256, 3).tolist())
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), colour)
    path.parent.mkdir(exist_ok=True)
    image.save(path, quality=95)


@pytest.fixture
def root(tmp_path):
    """Twenty patients who train, six who test."""
    root = tmp_path / "eyepacs"
    root.mkdir()
    train, test = [["image", "level"]], [["image", "level", "Usage"]]
    for patient in range(26):
        for side, eye in enumerate(("left", "right")):
            name, level = f"{patient}_{eye}", str(patient % 2)
            part = "train" if patient < 20 else "test"
            draw(root / part / f"{name}.jpeg", (patient, side))
            if part == "train":
                train.append([name, level])
            else:
                test.append([name, level, "Private" if patient > 22 else "Public"])
    write_rows(root / "trainLabels.csv", train)
    write_rows(root / "retinopathy_solution.csv", test)
    return root


def prepare(root, output, *extra):
    arguments = ["eyepacs", "--source", str(root), "--output", str(output), "--size", "32"]
    command.main([*arguments, "--processes", "1", *extra])
    return read_manifest(output / "manifest.csv")


def test_eyes_stay_together_and_the_official_test_tests(root, tmp_path, capsys):
    rows = prepare(root, tmp_path / "out", "--validation-fraction", "0.25")
    assert all(row.kept == "yes" for row in rows)
    of_group = {}
    for row in rows:
        of_group.setdefault(row.group, set()).add(row.split)
        assert row.group == row.patient_id == row.id.partition("_")[0]
        assert row.site == row.id.partition("_")[2]
    assert all(len(splits) == 1 for splits in of_group.values())
    drawn = [of_group[str(patient)].pop() for patient in range(20)]
    assert sorted(drawn) == ["train"] * 15 + ["validation"] * 5
    tested = {row.id: row.source for row in rows if row.split == "test"}
    assert len(tested) == 12
    assert (tested["20_left"], tested["25_right"]) == ("eyepacs_public", "eyepacs_private")
    assert "eyepacs_private" in capsys.readouterr().out


def test_folds_divide_what_does_not_test(root, tmp_path):
    rows = prepare(root, tmp_path / "out", "--folds", "4")
    splits = [row.split for row in rows]
    assert set(splits[:40]) == {"fold_0", "fold_1", "fold_2", "fold_3"}
    assert set(splits[40:]) == {"test"}


def test_a_trained_eye_that_also_tests_leaves_its_patient_out_of_training(root, tmp_path):
    (root / "train" / "3_left.jpeg").write_bytes((root / "test" / "21_left.jpeg").read_bytes())
    rows = {row.id: row for row in prepare(root, tmp_path / "out")}
    assert rows["3_right"].kept == "no"
    assert rows["3_right"].reason == "in one group with images of the given test split"
    pair = [rows["3_left"], rows["21_left"]]
    assert sorted(row.kept for row in pair) == ["no", "yes"]
    assert {row.split for row in pair if row.kept == "yes"} == {"test"}
    assert rows["21_right"].split == "test"


def test_without_the_published_solution_all_is_drawn(root, tmp_path):
    (root / "retinopathy_solution.csv").unlink()
    rows = prepare(root, tmp_path / "out", "--test-fraction", "0.2")
    assert len(rows) == 40
    assert {row.split for row in rows} == {"train", "validation", "test"}


@pytest.mark.parametrize(
    ("table", "row", "sentence"),
    [
        ("trainLabels.csv", ["eye7", "0"], "row 42 names 'eye7', which does not tell the patient"),
        ("trainLabels.csv", ["7_middle", "0"], "names '7_middle', which does not tell"),
        ("retinopathy_solution.csv", ["99_left", "0", ""], "row 14 has the Usage ''"),
    ],
)
def test_rows_that_cannot_be_used_are_one_sentence(root, tmp_path, capsys, table, row, sentence):
    with (root / table).open("a") as file:
        file.write(",".join(row) + "\n")
    with pytest.raises(SystemExit) as stopped:
        prepare(root, tmp_path / "out")
    assert stopped.value.code == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_image_without_its_file_is_told(root):
    (root / "train" / "5_left.jpeg").unlink()
    (missing,) = [photograph for photograph in read_eyepacs(root) if photograph.path is None]
    assert missing.id == "5_left"
