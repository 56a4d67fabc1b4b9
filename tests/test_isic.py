import collections
import csv
import pathlib

import pytest

from stochconv_jax.data.framing import Framing
from stochconv_jax.data.preparation.isic import read_isic
from stochconv_jax.data.preparation.selection import select
from stochconv_jax.errors import InputError

REAL_TABLES = pathlib.Path(__file__).parents[2] / "shared" / "data" / "isic_metadata"


def write(path, *rows, encoding="utf-8", newline="\n"):
    path.write_text(newline.join(rows) + newline, encoding=encoding, newline="")


@pytest.fixture
def root(tmp_path):
    """A few rows of every challenge, by the published names and columns."""
    write(tmp_path / "ISBI2016_ISIC_Part3_Training_GroundTruth.csv", "A1,benign", "A2,malignant")
    write(
        tmp_path / "ISIC-2017_Training_Part3_GroundTruth.csv",
        "image_id,melanoma,seborrheic_keratosis",
        *("A1,1.0,0.0", "B1,0.0,1.0", "B2,0.0,0.0"),
        encoding="utf-8-sig",
    )
    write(
        tmp_path / "ISIC-2017_Training_Data_metadata.csv",
        "image_id,age_approximate,sex",
        "B1,55,female",
        newline="\r\n",
    )
    write(
        tmp_path / "HAM10000_metadata.csv",
        "lesion_id,image_id,dx,dx_type,age,sex,localization",
        *("L1,C1,akiec,histo,80,male,scalp", "L1,C2,nv,histo,80,male,scalp"),
    )
    write(
        tmp_path / "ISIC_2019_Training_GroundTruth.csv",
        "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK",
        "C1,0.0,0.0,0.0,1.0,0.0,0.0,0.0,0.0,0.0",
        "A2_downsampled,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0",
        "D1,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0",
    )
    write(
        tmp_path / "ISIC_2019_Training_Metadata.csv",
        "image,age_approx,anatom_site_general,lesion_id,sex",
        "D1,40,anterior torso,L9,female",
    )
    write(
        tmp_path / "ISIC_2020_Training_GroundTruth_v2.csv",
        "image_name,patient_id,lesion_id,sex,age_approx,anatom_site_general_challenge,"
        "diagnosis,benign_malignant,target",
        "E1,P1,L5,male,45,head/neck,melanoma,malignant,1",
        "E2,P1,L6,male,45,torso,unknown,benign,0",
        "E3,P2,L7,male,45,torso,lentigo NOS,benign,0",
    )
    write(tmp_path / "ISIC_2020_Training_Duplicates.csv", "image_name_1,image_name_2", "E2,E3")
    return tmp_path


def test_every_challenge_is_read_with_its_labels(root):
    images = root / "ISIC_2019_Training_Input" / "ISIC_2019_Training_Input"
    images.mkdir(parents=True)
    (images / "D1.jpg").write_bytes(b"")
    found = {(p.source, p.id): p for p in read_isic(root)}
    targets = {key: (p.target, p.dx, p.dx7) for key, p in found.items()}
    assert targets == {
        ("isic2016", "A1"): ("0", "", ""),
        ("isic2016", "A2"): ("1", "", ""),
        ("isic2017", "A1"): ("1", "mel", "mel"),
        ("isic2017", "B1"): ("0", "bkl", "bkl"),
        ("isic2017", "B2"): ("0", "nv", "nv"),
        ("isic2018", "C1"): ("1", "akiec", "akiec"),
        ("isic2018", "C2"): ("0", "nv", "nv"),
        ("isic2019", "C1"): ("1", "ak", "akiec"),
        ("isic2019", "A2_downsampled"): ("1", "mel", "mel"),
        ("isic2019", "D1"): ("1", "scc", ""),
        ("isic2020", "E1"): ("1", "mel", "mel"),
        ("isic2020", "E2"): ("0", "", ""),
        ("isic2020", "E3"): ("0", "bkl", "bkl"),
    }
    assert found["isic2019", "D1"].path == images / "D1.jpg"
    assert found["isic2019", "C1"].path is None
    assert found["isic2017", "B1"].age == "55"
    assert found["isic2018", "C1"].site == "scalp"


def test_years_are_merged(root):
    rows = select(read_isic(root, tables_only=True), None, Framing((8, 8), (8, 8)), 16)
    kept = {row.id: row for row in rows if row.kept == "yes"}
    assert set(kept) == {"A1", "A2_downsampled", "B1", "B2", "C1", "C2", "D1", "E1", "E2"}
    assert kept["A1"].target == "1"
    assert kept["A1"].reason == "target 0 in isic2016, 1 in isic2017: 1 taken"
    assert kept["C1"].dx == "ak"
    assert kept["C1"].lesion_id == "L1"
    reasons = {(row.source, row.id): row.reason for row in rows if row.kept == "no"}
    assert reasons["isic2020", "E3"] == "listed by its source as a duplicate of E2 of isic2020"
    assert reasons["isic2018", "C1"] == "the same image as C1 of isic2019"
    group = {row.id: row.group for row in rows}
    assert group["C1"] == group["C2"] == "L1"
    # E1 and E2 share a patient, and E3 is a duplicate of E2.
    assert group["E1"] == group["E2"] == group["E3"] == "P1"
    assert len({group[name] for name in ("A1", "A2", "B1", "B2", "D1")}) == 5


def test_a_table_of_2016_with_a_header_is_read_alike(root):
    write(
        root / "ISBI2016_ISIC_Part3_Training_GroundTruth.csv",
        *("img_id,Label", "A1,benign", "A2,malignant"),
    )
    assert [p.target for p in read_isic(root)][:2] == ["0", "1"]


def test_what_cannot_be_read_is_named(root, tmp_path):
    with pytest.raises(InputError, match=r"--source .*nowhere is not a directory"):
        read_isic(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no table of an ISIC challenge"):
        read_isic(tmp_path / "empty")
    write(root / "ISIC_2019_Training_GroundTruth.csv", "name,MEL", "C1,1.0")
    with pytest.raises(InputError, match=r"ISIC_2019_Training_GroundTruth.csv has no column 'imag"):
        read_isic(root)


@pytest.mark.skipif(not REAL_TABLES.exists(), reason="the challenges' tables are not beside us")
def test_the_published_tables_hold_the_known_numbers():
    photographs = read_isic(REAL_TABLES, tables_only=True)
    assert collections.Counter(photograph.source for photograph in photographs) == {
        "isic2016": 900,
        "isic2017": 2750,
        "isic2018": 10015,
        "isic2019": 25331,
        "isic2020": 33126,
    }
    rows = select(photographs, None, Framing((8, 8), (8, 8)), 16)
    kept = [row for row in rows if row.kept == "yes"]
    with (REAL_TABLES / "ISIC_2019_Training_GroundTruth.csv").open(newline="") as file:
        malignant = sum(
            any(float(row[name]) for name in ("MEL", "BCC", "AK", "SCC"))
            for row in csv.DictReader(file)
        )
    assert sum(row.target == "1" for row in kept if row.source == "isic2019") == malignant
    names = {row.id.removesuffix("_downsampled") for row in rows}
    assert len(kept) == len(names)
    conflicts = {row.id.removesuffix("_downsampled") for row in kept if "taken" in row.reason}
    assert {"ISIC_0000077", "ISIC_0000511"} <= conflicts


@pytest.mark.parametrize("pairs", [("E2,E3", "E1,E3"), ("E1,E2", "E3,E1"), ("E1,E3", "E2,E1")])
def test_chains_of_listed_copies_stay_together(root, pairs):
    table = root / "ISIC_2020_Training_Duplicates.csv"
    write(table, "image_name_1,image_name_2", *pairs)
    found = [p.picture for p in read_isic(root, tables_only=True) if p.source == "isic2020"]
    assert len(found) == 3
    assert len(set(found)) == 1
    assert found[0]


def test_what_a_table_does_not_know_is_nothing(root):
    write(
        root / "ISIC-2017_Training_Data_metadata.csv",
        "image_id,age_approximate,sex",
        *("B1,unknown,female", "B2,NaN,unknown"),
    )
    rows = select(read_isic(root, tables_only=True), None, Framing((8, 8), (1, 1)), -1)
    known = {row.id: (row.age, row.sex) for row in rows if row.source == "isic2017"}
    assert known["B1"] == ("", "female")
    assert known["B2"] == ("", "")
