"""Corrected images beside a run's own: what trains, and what would leak."""

import dataclasses
import io

import numpy as np
import pytest
from feedback_folder import lesion, write_folder
from PIL import Image

from stochconv_jax.configs import quickstart
from stochconv_jax.data.dataset.records import JoinedRecords
from stochconv_jax.data.feedback_images import add_feedback
from stochconv_jax.data.load import load_dataset
from stochconv_jax.data.pipeline.batches import decode
from stochconv_jax.data.preparation.inspection import near_places
from stochconv_jax.errors import InputError


@pytest.fixture(scope="module")
def config(prepared):
    config = quickstart.get_config().data.unlock()
    config.high_size, config.low_size, config.synthetic_count = (128, 128), (32, 32), 40
    config.prepared_directory = str(prepared)
    return config


@pytest.fixture(scope="module")
def own(config):
    """Forty lesions, the first held-out one a picture of patient p1."""
    dataset = load_dataset(config)
    examples = list(dataset.examples)
    place = dataset.indices("validation")[0]
    examples[place] = examples[place]._replace(group="p1")
    return dataclasses.replace(dataset, examples=tuple(examples))


def copy_of(dataset, place, side=100):
    """Returns a picture once more, smaller and compressed by half: other bytes."""
    image = Image.fromarray(decode(dataset.records[place]["image"])).resize((side, side))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=50)
    return content.getvalue()


@pytest.fixture(scope="module")
def folder(own, tmp_path_factory):
    """An export with an image of every kind; what becomes of each is in its name."""
    trains = own.indices("train")
    held_out, other = own.indices("validation")[:2]
    patients = {"small.jpg": "q7", "sibling.png": "q7", "patient.png": "p1", "fine.png": "q8"}
    images = {
        "fine.png": (lesion(0), "malignant"),
        "alone.png": (lesion(1), "benign"),
        "bytes.jpg": (own.records[other]["image"], "malignant"),
        "small.jpg": (copy_of(own, held_out), "malignant"),
        "sibling.png": (lesion(3), "malignant"),
        "patient.png": (lesion(2), "malignant"),
        "same.jpg": (copy_of(own, trains[0]), own.examples[trains[0]].label),
        "changed.jpg": (copy_of(own, trains[1]), opposite(own.examples[trains[1]].label)),
        "absent.png": (None, "benign"),
        "broken.jpg": (b"\xff\xd8nothing", "benign"),
        "emptied.png": (lesion(5), ""),
        "one.png": (lesion(4), "benign"),
        "two.png": (lesion(4).resize((160, 160)), "malignant"),
    }
    return write_folder(tmp_path_factory.mktemp("feedback") / "export", images, group=patients)


@pytest.fixture(scope="module")
def found(own, folder, prepared):
    return add_feedback(own, [str(folder)], prepared)


def opposite(label):
    return {"benign": "malignant", "malignant": "benign"}[label]


def reasons(feedback):
    return {each.image.removeprefix("images/"): each.reason for each in feedback.left_out}


def test_corrected_images_train_and_leave_the_others_their_places(own, found):
    dataset = found.dataset
    assert (found.added, found.places) == (2, range(40, 42))
    assert dataset.examples[:40] == own.examples
    added = [(example.id, example.label, example.group) for example in dataset.examples[40:]]
    assert added == [
        ("images/fine.png", "malignant", "q8"),
        ("images/alone.png", "benign", "images/alone.png"),
    ]
    assert {*dataset.splits[40:]} == {"train"}
    np.testing.assert_array_equal(dataset.splits[:40], own.splits)
    assert dataset.records[3]["image"] == own.records[3]["image"]
    # As photographs are framed for prediction: the lesion, as a JPEG of the run's size.
    framed = decode(dataset.records[41]["image"]).astype(int)
    assert np.abs(framed - np.asarray(lesion(1)).astype(int)).mean() < 3


def test_no_picture_that_is_held_out_trains_nor_another_of_its_patient(own, found):
    held_out, other = (own.examples[place].id for place in own.indices("validation")[:2])
    told = reasons(found)
    assert told["bytes.jpg"] == f"shows the picture {other} of the validation split"
    assert told["small.jpg"] == f"shows the picture {held_out} of the validation split"
    assert told["sibling.png"] == "belongs to the group q7 of the validation split"
    assert told["patient.png"] == "belongs to the group p1 of the validation split"


def test_a_held_out_patient_is_known_though_called_like_its_image(own, prepared, tmp_path):
    examples = list(own.examples)
    place = own.indices("validation")[1]
    patient = examples[place] = examples[place]._replace(group=examples[place].id)
    own = dataclasses.replace(own, examples=tuple(examples))
    images = {"sibling.png": (lesion(7), "malignant"), "fine.png": (lesion(8), "benign")}
    folder = write_folder(tmp_path / "export", images, group={"sibling.png": patient.id})
    feedback = add_feedback(own, [str(folder)], prepared)
    assert feedback.added == 1
    assert reasons(feedback) == {
        "sibling.png": f"belongs to the group {patient.id} of the validation split"
    }


@pytest.mark.parametrize("column", ["group", "lesion_id"])
def test_a_held_out_patient_is_known_by_every_name_of_linked_pictures(
    own, prepared, tmp_path, column
):
    images = {
        "large.png": (lesion(9), "malignant"),
        "small.png": (lesion(9).resize((100, 100)), "malignant"),
        "sibling.png": (lesion(7), "malignant"),
        "fine.png": (lesion(8), "benign"),
    }
    named = {"large.png": "q7", "small.png": "p1", "sibling.png": "p1"}
    folder = write_folder(tmp_path / "export", images, **{column: named})
    feedback = add_feedback(own, [str(folder)], prepared)
    assert [example.id for example in feedback.dataset.examples[40:]] == ["images/fine.png"]
    told = reasons(feedback)
    assert told["small.png"].startswith("nearly the same as images/large.png"), "linked"
    for name in ("large.png", "sibling.png"):
        assert told[name] == "belongs to the group q7 of the validation split"


def test_the_training_table_is_not_overruled_and_nothing_counts_twice(own, found):
    same, changed = (own.examples[place] for place in own.indices("train")[:2])
    told = reasons(found)
    assert told["same.jpg"] == f"trains already, as {same.id}"
    assert told["changed.jpg"] == (
        f"is to be {opposite(changed.label)}, and shows the picture {changed.id}, which trains as "
        f"{changed.label}: correct that in its own table"
    )


def test_what_cannot_be_read_or_contradicts_itself_is_left_out_by_name(found):
    told = reasons(found)
    assert told["absent.png"] == "no such file"
    assert told["emptied.png"] == "no target"
    assert told["broken.jpg"].startswith(("damaged", "not an image"))
    contradiction = "rows of folder give this picture the targets benign and malignant"
    assert told["one.png"] == told["two.png"] == contradiction
    assert len(told) == 11
    told = found.describe()
    assert "that train as well: 2, 11 are left out: images/absent.png: no" in told


def test_a_later_export_repeats_nothing(own, found, folder, prepared, tmp_path):
    images = {"0.png": (lesion(0), "malignant"), "6.png": (lesion(6), "malignant")}
    later = write_folder(tmp_path / "later", images)
    both = add_feedback(own, [str(folder), str(later)], prepared)
    assert (both.added, both.dataset.examples[42].id) == (3, "images/6.png")
    assert reasons(both)["0.png"] == "trains already, as images/fine.png"
    identities = [each.identity["fingerprint"] for each in (own, found.dataset, both.dataset)]
    assert len({*identities}) == 3


def test_a_config_loads_them_with_the_run(config, folder, capsys):
    changed = config.copy_and_resolve_references()
    changed.feedback = (str(folder),)
    # This run knows no patient p1.
    assert len(load_dataset(changed).examples) == 43
    assert "feedback: images that train as well: 3" in capsys.readouterr().out


def test_an_unknown_class_is_refused_before_anything_is_prepared(own, prepared, tmp_path):
    folder = write_folder(tmp_path / "export", {"1.png": (lesion(1), "naevus")})
    with pytest.raises(InputError, match="has the classes naevus, which the network does not know"):
        add_feedback(own, [str(folder)], prepared)


def test_known_pictures_alone_a_missing_table_and_missing_columns_are_refused(
    own, prepared, tmp_path
):
    place = own.indices("train")[0]
    images = {"1.jpg": (own.records[place]["image"], own.examples[place].label)}
    folder = str(write_folder(tmp_path / "export", images))
    with pytest.raises(InputError, match=r"none of the 1 images of .* trains already, as lesion"):
        add_feedback(own, [folder], prepared)
    with pytest.raises(InputError, match=r"holds no labels\.csv"):
        add_feedback(own, [str(tmp_path)], prepared)
    aged = tuple(example._replace(known={"age": "50"}) for example in own.examples)
    with pytest.raises(InputError, match="no column 'age'"):
        add_feedback(dataclasses.replace(own, examples=aged, columns=("age",)), [folder], prepared)
    with pytest.raises(InputError, match="feedback is of images"):
        add_feedback(dataclasses.replace(own, records=()), [folder], prepared)


def test_records_behind_others_are_indexed_as_a_list_is():
    joined = JoinedRecords(["a", "b", "c"], ["d", "e"])
    assert [joined[place] for place in (0, 2, 3, np.int64(4), -1, -3, -5)] == [*"acdeeca"]
    assert [*joined[1:4]] == [*"bcd"]
    assert [*joined[::-2]] == [*"eca"]
    for place in (5, -6):
        with pytest.raises(IndexError):
            joined[place]


def test_near_places_are_those_within_the_distance():
    hashes = [f"{bits:064x}" for bits in (0, 0b111, 0b11111)]
    assert near_places(hashes, hashes[0], 3) == [0, 1]
