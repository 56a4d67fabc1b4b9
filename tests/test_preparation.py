import csv
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image, ImageDraw

from stochconv_jax.data.dataset.image_dataset import Example, check_splits
from stochconv_jax.data.dataset.manifest import read_manifest, write_manifest
from stochconv_jax.data.dataset.prepared import Opening, open_prepared
from stochconv_jax.data.framing import Framing
from stochconv_jax.data.pipeline.batches import decode
from stochconv_jax.data.preparation import command
from stochconv_jax.data.preparation.folder import FolderTable, read_folder
from stochconv_jax.errors import InputError

ROOT = pathlib.Path(__file__).parents[1]


def picture(seed, size=(120, 90)):
    """A picture with coarse structure, as photographs have, so that likeness means something."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(rng.integers(100, 220, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        (x, y), radius = rng.integers(0, size), rng.integers(4, 30)
        colour = tuple(rng.integers(0, 256, 3).tolist())
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)
    return image


def write_table(folder, rows, header=("image", "target", "patient")):
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, lineterminator="\r\n").writerows([header, *rows])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Twenty pictures of ten patients, two classes."""
    images = tmp_path_factory.mktemp("pictures")
    rows = []
    for number in range(20):
        picture(number).save(images / f"mole_{number}.png")
        rows.append([f"mole_{number}.png", "ab"[number % 4 == 0], f"p{number // 2}"])
    write_table(images, rows)
    return images


@pytest.fixture
def folder(pictures, tmp_path):
    """The pictures, to be changed."""
    return shutil.copytree(pictures, tmp_path / "images")


def prepare(folder, output, *extra, size="64x80", expect=0):
    """Runs the command; returns its manifest by id."""
    arguments = ["folder", "--source", str(folder), "--output", str(output), "--size", size]
    arguments += ["--group-column", "patient", "--processes", "1", *extra]
    if expect:
        with pytest.raises(SystemExit) as stopped:
            command.main(arguments)
        assert stopped.value.code == expect
        return None
    command.main(arguments)
    manifest = output / "manifest.csv"
    return {row.id: row for row in read_manifest(manifest)} if manifest.exists() else None


@pytest.fixture(scope="module")
def prepared_once(pictures, tmp_path_factory):
    prepare(pictures, output := tmp_path_factory.mktemp("prepared"))
    return output


@pytest.fixture
def prepared(prepared_once, tmp_path):
    """The pictures prepared, of ten groups, in places 0 and 1, 2 and 3, ..., to be changed."""
    return shutil.copytree(prepared_once, tmp_path / "out")


def add(folder, name, content, *about):
    if isinstance(content, Image.Image):
        content.save(folder / name)
    elif content is not None:
        (folder / name).write_bytes(content)
    with (folder / "labels.csv").open("a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow([name, *about])


def test_prepared_images_are_the_files_resized_and_no_group_crosses(folder, tmp_path, capsys):
    rows = prepare(folder, tmp_path / "out", "--test-fraction", "0.2", "--processes", "2")
    assert {row.kept for row in rows.values()} == {"yes"}
    splits = {}
    for row in rows.values():
        splits.setdefault(row.group, set()).add(row.split)
    assert (
        sorted(map(tuple, splits.values()))
        == [("test",)] * 2 + [("train",)] * 6 + [("validation",)] * 2
    )
    dataset = open_prepared(tmp_path / "out", Opening(size=(64, 80)))
    assert [example.id for example in dataset.examples] == list(rows)
    for index in (0, 19):
        image = decode(dataset.records[index]["image"]).astype(int)
        expected = picture(index).resize((80, 64), Image.Resampling.LANCZOS)
        assert np.abs(image - np.asarray(expected)).mean() < 3
    said = capsys.readouterr().out
    assert "# 20 of 20 images kept" in said
    assert "divided by image" in said
    assert (tmp_path / "out" / "summary.md").read_text().startswith("# 20 of 20")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".lock",
        "inspected.csv",
        "manifest.csv",
        "prepared_images",
        "summary.md",
    ]


def test_every_bad_file_is_named_and_the_rest_goes_on(folder, tmp_path, capsys):
    jpeg = folder / "whole.jpg"
    picture(50).save(jpeg, quality=95)
    whole = jpeg.read_bytes()
    add(folder, "truncated.jpg", whole[:2000], "a", "")
    add(folder, "nothing.jpg", b"", "a", "")
    add(folder, "page.jpg", b"<html>not found</html>", "a", "")
    add(folder, "absent.jpg", None, "a", "")
    add(folder, "cmyk.jpg", picture(51).convert("CMYK"), "a", "")
    add(folder, "small.png", picture(52, (40, 90)), "a", "")
    add(folder, "unlabelled.png", picture(53), "", "")
    add(folder, "schöne Fläche.png", picture(54), "b", "")
    (folder / "misnamed.jpg").write_bytes((folder / "mole_0.png").read_bytes())
    picture(55).save(folder / "misnamed.png")
    (folder / "misnamed.png").replace(folder / "misnamed.jpg")
    add(folder, "misnamed.jpg", None, "a", "")
    rows = prepare(folder, tmp_path / "out")
    reasons = {name: row.reason for name, row in rows.items() if row.kept == "no"}
    for name, reason in {
        "truncated.jpg": "damaged",
        "nothing.jpg": "the file is empty",
        "page.jpg": "not an image but a web page",
        "absent.jpg": "no such file",
        "small.png": "smaller than 80x64 pixels",
        "unlabelled.png": "no target",
    }.items():
        assert reasons.pop(name).startswith(reason)
    assert not reasons
    assert rows["schöne Fläche.png"].kept == "yes"
    assert rows["misnamed.jpg"].reason == "a PNG named .jpg"
    assert rows["cmyk.jpg"].reason == "converted from CMYK"
    said = capsys.readouterr().out
    assert "- page.jpg (folder): not an image but a web page" in said
    assert len(open_prepared(tmp_path / "out", Opening(size=(64, 80))).records) == 23


def test_copies_are_kept_once_and_link_their_groups(folder, tmp_path):
    add(folder, "again.png", (folder / "mole_3.png").read_bytes(), "a", "other patient")
    add(folder, "larger.png", picture(6).resize((240, 180), Image.Resampling.LANCZOS), "a", "")
    add(folder, "mole_9.png", None, "a", "p4")
    add(folder, "contrary.png", (folder / "mole_12.png").read_bytes(), "a", "")
    with (folder / "labels.csv").open(newline="", encoding="utf-8-sig") as file:
        names = [row["image"] for row in csv.DictReader(file)]
    prepare(folder, tmp_path / "out")
    rows = list(zip(names, read_manifest(tmp_path / "out" / "manifest.csv"), strict=True))
    by_name = dict(rows)
    assert by_name["again.png"].reason == "the same bytes as mole_3.png of folder"
    assert by_name["again.png"].group == by_name["mole_3.png"].group == by_name["mole_2.png"].group
    assert by_name["larger.png"].kept == "yes"
    assert by_name["mole_6.png"].reason.startswith("nearly the same as larger.png of folder")
    assert by_name["larger.png"].group == "p3"
    assert [row.kept for name, row in rows if name == "mole_9.png"] == ["yes", "no"]
    for name in ("mole_12.png", "contrary.png"):
        assert by_name[name].kept == "no"
        assert by_name[name].reason == "rows of folder give this picture the targets a and b"


def test_nothing_is_written_in_a_dry_run(folder, tmp_path, capsys):
    prepare(folder, tmp_path / "out", "--dry-run")
    assert not (tmp_path / "out").exists()
    assert "# 20 of 20 images kept" in capsys.readouterr().out


def test_other_splits_prepare_no_image_anew_and_other_sizes_replace_them(folder, tmp_path):
    prepare(folder, tmp_path / "out")
    (records,) = (tmp_path / "out").rglob("*array_record*")
    written = records.stat().st_mtime_ns
    rows = prepare(folder, tmp_path / "out", "--folds", "5")
    assert records.stat().st_mtime_ns == written
    assert {row.split for row in rows.values()} == {f"fold_{number}" for number in range(5)}
    dataset = open_prepared(tmp_path / "out", Opening(size=(64, 80), fold=3))
    assert len(dataset.indices("validation")) == 4
    with pytest.raises(InputError, match=r"data.fold is 5; the images are divided into 5"):
        open_prepared(tmp_path / "out", Opening(size=(64, 80), fold=5))
    with pytest.raises(InputError, match=r"are 64x80 and data.high_size is 32x32"):
        open_prepared(tmp_path / "out", Opening(size=(32, 32)))
    prepare(folder, tmp_path / "out", size="32")
    open_prepared(tmp_path / "out", Opening(size=(32, 32)))
    assert len(list((tmp_path / "out").rglob("*array_record*"))) == 1


def test_splits_that_share_groups_train_only_where_that_is_asked_for(folder, tmp_path, capsys):
    prepare(folder, tmp_path / "out", "--split", "image")
    assert "training on these splits is refused" in capsys.readouterr().out.replace("\n", " ")
    with pytest.raises(InputError, match=r"groups stand in more than one split \(p\d"):
        open_prepared(tmp_path / "out", Opening(size=(64, 80)))
    open_prepared(tmp_path / "out", Opening(size=(64, 80), allow_shared_groups=True))


def test_crossing_groups_are_named():
    examples = [Example(str(n), "ab"[n % 2], f"g{n // 2}", "") for n in range(8)]
    splits = np.array(["train", "validation"] * 4)
    with pytest.raises(InputError, match=r"4 groups stand in more than one split \(g0, g1, g2, g3"):
        check_splits(examples, splits, ("a", "b"))


def test_a_manifest_without_its_images_is_refused(prepared):
    rows = read_manifest(prepared / "manifest.csv")
    shutil.rmtree(prepared / "prepared_images")
    with pytest.raises(InputError, match="does not hold the images of its manifest"):
        open_prepared(prepared, Opening(size=(64, 80)))
    assert len(rows) == 20


def test_records_that_are_described_otherwise_are_refused_and_nothing_is_imported(
    prepared, tmp_path, monkeypatch
):
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    for file, what, other in (
        ("features.json", "tensorflow_datasets.core.features.text_feature.Text", "evil.Feature"),
        ("features.json", '"pythonClassName"', '"type"'),
        ("features.json", "{", "["),
        ("dataset_info.json", "{DATASET}-", "../../{DATASET}-"),
        ("dataset_info.json", '"prepared_images"', '"../prepared_images"'),
        ("dataset_info.json", '"array_record"', '"tfrecord"'),
    ):
        (path,) = prepared.rglob(file)
        text = path.read_text()
        assert what in text
        path.write_text(text.replace(what, other))
        with pytest.raises(InputError, match="not described as preparation describes them"):
            open_prepared(prepared, Opening(size=(64, 80)))
        path.write_text(text)
    assert not (tmp_path / "ran").exists()
    open_prepared(prepared, Opening(size=(64, 80)))


@pytest.mark.parametrize(
    "name",
    ["../mole_0.png", "sub/../../mole_0.png", "..\\mole_0.png", "/etc/mole_0", "C:\\mole_0.png"],
)
def test_a_table_names_no_file_outside_its_directory(folder, name):
    write_table(folder, [[name, "a", "p0"], ["mole_1.png", "b", "p1"]])
    table = FolderTable(str(folder), "labels.csv", "image", "target")
    with pytest.raises(InputError, match=r"row 2 names .* not a path within"):
        read_folder(table)
    # Without files it is but a name.
    assert read_folder(table, with_files=False)[0].id == name


def test_links_in_a_directory_of_images_are_followed(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (folder / "mole_0.png").rename(elsewhere)
    (folder / "mole_0.png").symlink_to(elsewhere)
    (tmp_path / "linked").symlink_to(folder)
    table = FolderTable(str(tmp_path / "linked"), "labels.csv", "image", "target")
    assert all(photograph.path.is_file() for photograph in read_folder(table))


LIMITED = """
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_DFL)  # which a suite in the background hands on ignored
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


def run_command(folder, output, limit=2**40):
    """Starts the command in a process of its own, which may write `limit` bytes to a file."""
    words = ["folder", "--source", folder, "--output", output, "--group-column", "patient"]
    words = ["-m", "stochconv_jax.prepare", *words, "--size", "64", "--processes", "1"]
    return subprocess.Popen(
        [sys.executable, "-c", LIMITED, str(limit), *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# Bytes that a file may have: less than the inspections need, and less than the data set.
@pytest.mark.parametrize("limit", [4_000, 8_000])
def test_a_full_disk_is_one_sentence_and_nothing_counts_as_done(folder, tmp_path, limit):
    process = run_command(folder, tmp_path / "out", limit)
    _, error = process.communicate()
    assert process.returncode == 2
    assert "File too large" in error.splitlines()[-1]
    assert error.count("error: ") == 1
    assert "Traceback" not in error
    assert not (tmp_path / "out" / "manifest.csv").exists()
    prepare(folder, tmp_path / "out", size="64")
    assert len(open_prepared(tmp_path / "out", Opening(size=(64, 64))).records) == 20


def test_an_interrupted_preparation_goes_on_where_it_stopped(folder, tmp_path):
    for number in range(20, 400):
        shutil.copy(folder / f"mole_{number % 20}.png", folder / f"mole_{number}.png")
        with (folder / f"mole_{number}.png").open("ab") as file:
            file.write(bytes([number % 256, number // 256]))  # other bytes after the picture's end
    write_table(folder, [[f"mole_{n}.png", "ab"[n % 4 == 0], f"p{n}"] for n in range(400)])
    output = tmp_path / "out"
    process = run_command(folder, output)
    inspected = output / "inspected.csv"
    while process.poll() is None and not (inspected.exists() and inspected.stat().st_size):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate()
    assert process.returncode == 130
    assert "the same command goes on where it stopped" in error
    assert not (output / "manifest.csv").exists()
    first = inspected.read_text().splitlines()
    prepare(folder, output, "--near-duplicate-distance", "-1", size="64")
    assert inspected.read_text().splitlines()[: len(first)] == first
    assert len(inspected.read_text().splitlines()) == 400
    assert len(open_prepared(output, Opening(size=(64, 64))).records) == 400


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Beam 2.71 pins an older protobuf
def test_apache_beam_writes_the_same_images(folder, tmp_path):
    pytest.importorskip("apache_beam", reason="the beam extra is not installed")
    prepare(folder, tmp_path / "plain")
    prepare(folder, tmp_path / "beam", "--beam-runner", "DirectRunner")
    plain, beam = (
        open_prepared(tmp_path / name, Opening(size=(64, 80))) for name in ("plain", "beam")
    )
    assert plain.examples == beam.examples
    for index in range(20):
        assert plain.records[index]["image"] == beam.records[index]["image"]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (
            ["--label-column", "dx"],
            "no column 'dx'; data.label_column (prepare: --label-column)",
        ),
        (["--table", "no.csv"], "'no.csv' is not a file, nor one in"),
        (["--folds", "1"], "--folds is 1"),
        (["--validation-fraction", "0"], "must leave images to train on"),
        (["--minimum-size", "5000"], "none of the 20 images can be used: smaller than 5000x5000"),
        (["--split-column", "patient"], "mole_0.png has the split 'p0'"),
    ],
)
def test_mistakes_are_one_sentence(folder, tmp_path, capsys, extra, message):
    prepare(folder, tmp_path / "out", *extra, expect=2)
    error = capsys.readouterr().err
    assert message in error
    assert not (tmp_path / "out" / "manifest.csv").exists()


def test_the_index_column_of_a_table_is_neither_group_nor_split(folder):
    """As pandas writes it, under no name."""
    (folder / "labels.csv").write_text(",image,target\n0,0.png,a\n1,1.png,b\n")
    table = FolderTable(str(folder), "labels.csv", "image", "target", "", "")
    assert [(row.group, row.split) for row in read_folder(table)] == [("", ""), ("", "")]


def edit(output, **columns):
    """Edits a manifest by hand: each column by a function of (place, row)."""
    rows = read_manifest(output / "manifest.csv")
    write_manifest(
        output / "manifest.csv",
        [
            row._replace(**{name: change(place, row) for name, change in columns.items()})
            for place, row in enumerate(rows)
        ],
    )


def test_a_test_split_beside_folds_is_never_trained_on(prepared):
    def split(place, row):
        return "test" if place < 4 else f"fold_{place // 2 % 4}"

    edit(prepared, split=split)
    dataset = open_prepared(prepared, Opening(size=(64, 80), fold=2))
    assert set(dataset.indices("test")) == {0, 1, 2, 3}
    assert set(dataset.indices("validation")) == {4, 5, 12, 13}
    assert len(dataset.indices("train")) == 12


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("", r"mole_7.png has no split and other images have one"),
        ("val", r"mole_7.png has the split 'val'"),
        ("Train", r"mole_7.png has the split 'Train'"),
        ("fold_0", r"mole_7.png has the split 'fold_0'.* beside"),
    ],
)
def test_a_split_that_is_not_one_is_refused_by_name(prepared, value, sentence):
    edit(prepared, split=lambda place, row: value if place == 7 else row.split)
    with pytest.raises(InputError, match=sentence):
        open_prepared(prepared, Opening(size=(64, 80)))


@pytest.mark.parametrize("value", ["", "Yes", "true"])
def test_an_image_is_kept_or_not(prepared, value):
    edit(prepared, kept=lambda place, row: value if place == 7 else row.kept)
    with pytest.raises(InputError, match=rf"mole_7.png is kept {value!r}; write yes or no"):
        open_prepared(prepared, Opening(size=(64, 80)))


def test_an_image_without_a_group_is_refused_by_name(prepared):
    edit(prepared, group=lambda place, row: "" if place in (6, 7) else row.group)
    with pytest.raises(InputError, match=r"mole_6.png has no group; write the image's id"):
        open_prepared(prepared, Opening(size=(64, 80)))


def test_folds_leave_the_test_groups_out(folder, tmp_path, capsys):
    rows = prepare(folder, tmp_path / "out", "--folds", "4", "--test-fraction", "0.2")
    splits = {row.group: row.split for row in rows.values()}
    assert {(row.group, row.split) for row in rows.values()} == set(splits.items())
    counts = [list(splits.values()).count(f"fold_{number}") for number in range(4)]
    assert counts == [2] * 4
    assert list(splits.values()).count("test") == 2
    dataset = open_prepared(tmp_path / "out", Opening(size=(64, 80), fold=2))
    assert [len(dataset.indices(name)) for name in ("train", "validation", "test")] == [12, 4, 4]
    assert "divided by image" in capsys.readouterr().out


def test_pixels_are_part_of_a_data_sets_identity_and_its_place_is_not(folder, tmp_path):
    def identity(name, *extra):
        prepare(folder, tmp_path / name, *extra)
        return open_prepared(tmp_path / name, Opening(size=(64, 80))).identity

    first = identity("one")
    assert identity("elsewhere") == first
    assert identity("cropped", "--crop-above", "70", "--crop-to", "60") != first
    picture(99).save(folder / "mole_3.png")
    assert identity("one") != first


def test_folds_and_given_splits_exclude_each_other(folder, tmp_path, capsys):
    with (folder / "labels.csv").open("w") as file:
        for place, row in enumerate((["image", "target", "patient", "where"], *range(20))):
            values = row if place == 0 else [f"mole_{row}", "ab"[row % 2], f"p{row}", "train"]
            print(*values, sep=",", file=file)
    extra = ["--split-column", "where", "--folds", "4"]
    prepare(folder, tmp_path / "out", *extra, expect=2)
    assert "come with splits and --folds is 4" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["fold_", ""])
def test_folds_of_a_table_are_taken_over(folder, tmp_path, name):
    with (folder / "labels.csv").open("w") as file:
        print("image,target,patient,part", file=file)
        for number in range(20):
            part = "test" if number < 4 else f"{name}{number // 4 % 2}"
            print(f"mole_{number}", "ab"[number % 2], f"p{number}", part, sep=",", file=file)
    rows = prepare(folder, tmp_path / "out", "--split-column", "part")
    assert {row.split for row in rows.values()} == {"test", "fold_0", "fold_1"}
    dataset = open_prepared(tmp_path / "out", Opening(size=(64, 80), fold=1))
    assert [len(dataset.indices(name)) for name in ("train", "validation", "test")] == [8, 8, 4]


def test_records_of_an_older_version_are_prepared_again(folder, prepared):
    """They do not say how they were framed."""
    (metadata,) = prepared.rglob("metadata.json")
    metadata.unlink()
    version = metadata.parent
    version.rename(version.with_name("1.0.0"))
    with pytest.raises(InputError, match="older version; prepare them again"):
        open_prepared(prepared, Opening(size=(64, 80)))
    prepare(folder, prepared)
    assert open_prepared(prepared, Opening(size=(64, 80))).framing == Framing((64, 80), (64, 80))
    assert not version.with_name("1.0.0").exists()


def test_an_unseen_photograph_goes_the_way_of_preparation(folder, prepared):
    dataset = open_prepared(prepared, Opening(size=(64, 80)))
    framed = dataset.framing.frame((folder / "mole_5.png").read_bytes())
    assert framed == dataset.records[5]["image"]


def test_show_draws_what_training_sees(tmp_path, capsys):
    command.main(
        [
            "show",
            f"--config={ROOT / 'configs' / 'b0.py'}",
            f"--workdir={tmp_path}",
            f"--config.data.prepared_directory={tmp_path / 'prepared'}",
            "--config.data.synthetic_count=40",
            "--config.data.high_size=(128, 128)",
            "--config.data.low_size=(32, 32)",
        ]
    )
    assert "shows 6 images" in capsys.readouterr().out
    with Image.open(tmp_path / "pairs.png") as page:
        assert page.width > page.height
        assert np.asarray(page.convert("L")).std() > 10
