"""Corrected images beside a run's own: what trains, and what would leak."""

import dataclasses
import io

import numpy as np
import pytest
from feedback_folder import lesion, write_folder
from PIL import Image

from stochconv_jax.configs import quickstart
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


def reasons(feedback):
    return {each.image.removeprefix("images/"): each.reason for each in feedback.left_out}


def test_corrected_images_train_and_leave_the_others_their_places(own, prepared, tmp_path):
    images = {f"{n}.png": (lesion(n), ("malignant", "benign")[n % 2]) for n in range(3)}
    folder = write_folder(tmp_path / "first", images)
    found = add_feedback(own, [str(folder)], prepared)
    dataset = found.dataset
    assert (found.added, found.left_out, found.places) == (3, (), range(40, 43))
    assert dataset.examples[:40] == own.examples
    assert [example.label for example in dataset.examples[40:]] == ["malignant", "benign"] + [
        "malignant"
    ]
    assert {*dataset.splits[40:]} == {"train"}
    np.testing.assert_array_equal(dataset.splits[:40], own.splits)
    assert dataset.records[3]["image"] == own.records[3]["image"]
    # As photographs are framed for prediction: the lesion, as a JPEG of the run's size.
    framed = decode(dataset.records[41]["image"]).astype(int)
    assert np.abs(framed - np.asarray(lesion(1)).astype(int)).mean() < 3
    assert found.describe() == "feedback: 3 images train as well"
    # A later export follows; of what it repeats nothing is added twice.
    second = write_folder(tmp_path / "second", images | {"3.png": (lesion(3), "benign")})
    both = add_feedback(own, [str(folder), str(second)], prepared)
    assert (both.added, both.dataset.examples[43].id) == (4, "images/3.png")
    assert reasons(both) == {f"{n}.png": f"trains already, as images/{n}.png" for n in range(3)}
    assert both.dataset.identity != dataset.identity != own.identity


def test_no_picture_that_is_held_out_trains_nor_another_of_its_patient(own, prepared, tmp_path):
    held_out, other = own.indices("validation")[:2]
    images = {
        "bytes.jpg": (own.records[other]["image"], "malignant"),
        "small.jpg": (copy_of(own, held_out), "malignant"),
        "sibling.png": (lesion(1), "malignant"),
        "known.png": (lesion(2), "malignant"),
        "fine.png": (lesion(3), "malignant"),
    }
    patients = {"small.jpg": "q7", "sibling.png": "q7", "known.png": "p1", "fine.png": "q8"}
    folder = write_folder(tmp_path / "export", images, group=patients)
    found = add_feedback(own, [str(folder)], prepared)
    assert reasons(found) == {
        "bytes.jpg": f"shows the picture {own.examples[other].id} of the validation split",
        "small.jpg": f"shows the picture {own.examples[held_out].id} of the validation split",
        "sibling.png": "belongs to the group q7 of the validation split",
        "known.png": "belongs to the group p1 of the validation split",
    }
    assert [found.dataset.examples[place].id for place in found.places] == ["images/fine.png"]
    assert found.dataset.examples[40].group == "q8"
    assert "1 images train as well, 4 are left out: images/bytes.jpg: shows" in found.describe()


def test_the_training_table_is_not_overruled_and_nothing_counts_twice(own, prepared, tmp_path):
    same, changed = own.indices("train")[:2]
    labels = {place: own.examples[place].label for place in (same, changed)}
    opposite = {"benign": "malignant", "malignant": "benign"}[labels[changed]]
    images = {
        "same.jpg": (copy_of(own, same), labels[same]),
        "changed.jpg": (copy_of(own, changed), opposite),
        "fine.png": (lesion(1), "benign"),
    }
    found = add_feedback(own, [str(write_folder(tmp_path / "export", images))], prepared)
    name = own.examples[changed].id
    assert reasons(found) == {
        "same.jpg": f"trains already, as {own.examples[same].id}",
        "changed.jpg": f"is to be {opposite}, and shows the picture {name}, which trains as "
        f"{labels[changed]}: correct that in its own table",
    }
    assert found.added == 1


def test_what_cannot_be_read_or_contradicts_itself_is_left_out_by_name(own, prepared, tmp_path):
    images = {
        "absent.png": (None, "benign"),
        "broken.jpg": (b"\xff\xd8nothing", "benign"),
        "emptied.png": (lesion(2), ""),
        "one.png": (lesion(4), "benign"),
        "other.png": (lesion(4).resize((160, 160)), "malignant"),
        "fine.png": (lesion(1), "benign"),
    }
    found = add_feedback(own, [str(write_folder(tmp_path / "export", images))], prepared)
    told = reasons(found)
    assert told.pop("broken.jpg").startswith(("damaged", "not an image"))
    contradiction = "rows of folder give this picture the targets benign and malignant"
    assert told == {
        "absent.png": "no such file",
        "emptied.png": "no target",
        "one.png": contradiction,
        "other.png": contradiction,
    }
    assert found.added == 1


def test_a_config_loads_them_with_the_run(config, own, tmp_path, capsys):
    folder = write_folder(tmp_path / "export", {"1.png": (lesion(1), "benign")})
    changed = config.copy_and_resolve_references()
    changed.feedback = (str(folder),)
    dataset = load_dataset(changed)
    assert len(dataset.examples) == 41
    assert "feedback: 1 images train as well" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        ({"1.png": (lesion(1), "naevus")}, "has the classes naevus, which the network does not"),
        ({"1.png": (b"", "benign")}, "none of the 1 images can be used: the file is empty"),
    ],
)
def test_what_cannot_train_at_all_is_refused(own, prepared, tmp_path, images, sentence):
    folder = write_folder(tmp_path / "export", images)
    with pytest.raises(InputError, match=sentence):
        add_feedback(own, [str(folder)], prepared)


def test_known_pictures_alone_a_missing_table_and_missing_columns_are_refused(
    own, prepared, tmp_path
):
    place = own.indices("train")[0]
    images = {"1.jpg": (own.records[place]["image"], own.examples[place].label)}
    folder = str(write_folder(tmp_path / "export", images))
    with pytest.raises(InputError, match="none of the 1 images of .* trains already, as lesion"):
        add_feedback(own, [folder], prepared)
    with pytest.raises(InputError, match=r"holds no labels\.csv"):
        add_feedback(own, [str(tmp_path)], prepared)
    with pytest.raises(InputError, match="no column 'age'"):
        add_feedback(dataclasses.replace(own, columns=("age",)), [folder], prepared)
    with pytest.raises(InputError, match="feedback is of images"):
        add_feedback(dataclasses.replace(own, records=()), [folder], prepared)


def test_near_places_are_those_within_the_distance():
    hashes = [f"{bits:064x}" for bits in (0, 0b111, 0b11111)]
    assert near_places(hashes, hashes[0], 3) == [0, 1]
