"""What a table knows of an image: from columns to inputs."""

import json
import pathlib

import numpy as np
import pytest

from stochconv_jax.configs import base
from stochconv_jax.data.dataset.image_dataset import Example
from stochconv_jax.data.dataset.metadata import Metadata
from stochconv_jax.data.load import load_dataset
from stochconv_jax.errors import InputError
from stochconv_jax.prediction.table import rows_of


def example(name, **known):
    return Example(name, "0", "", "", known)


ROWS = [
    example("a", age="30", sex="male", site="torso"),
    example("b", age="50", sex="female", site=""),
    example("c", age="", sex="", site="head/neck"),
    example("d", age="40", sex="male", site="torso"),
]


def test_inputs_equal_a_plain_reading_of_the_table():
    found = Metadata.fit(ROWS, ("age",), ("sex", "site"))
    # Mean 40, standard deviation of 30, 50 and 40.
    far = 10 / np.sqrt(200 / 3)
    expected = [
        # age, missing; female, male, missing; head/neck, torso, missing
        [-far, 0, 0, 1, 0, 0, 1, 0],
        [far, 0, 1, 0, 0, 0, 0, 1],
        [0, 1, 0, 0, 1, 1, 0, 0],
        [0, 0, 0, 1, 0, 0, 1, 0],
    ]
    inputs = found(ROWS)
    assert inputs.dtype == np.float32
    np.testing.assert_allclose(inputs, expected, rtol=1e-6)
    assert found.names[:3] == ("age", "age missing", "sex female")
    assert len(found.names) == inputs.shape[1]


def test_what_was_fitted_is_kept_and_read_to_the_bit(tmp_path):
    found = Metadata.fit(ROWS, ("age",), ("sex", "site"))
    kept = json.loads(json.dumps(found.to_json()))
    assert Metadata.from_json(kept, tmp_path) == found
    with pytest.raises(InputError, match="is damaged"):
        Metadata.from_json({"numbers": {"age": 3}}, tmp_path)


def test_a_category_that_training_did_not_meet_is_zeros_and_told_once():
    found = Metadata.fit(ROWS, (), ("site",))
    others = [example("e", site="palms"), example("f", site="palms"), example("g", site="")]
    np.testing.assert_array_equal(found(others), [[0, 0, 0], [0, 0, 0], [0, 0, 1]])
    (sentence,) = found.unseen(others)
    assert sentence.startswith("site is 'palms' of 2 images")
    assert not found.unseen(ROWS)


def test_what_is_no_number_is_named_with_its_row_and_column():
    with pytest.raises(InputError, match=r"column 'age' of e is 'abc', which is no number"):
        Metadata.fit([*ROWS, example("e", age="abc")], ("age",), ())
    found = Metadata.fit(ROWS, ("age",), ())
    with pytest.raises(InputError, match=r"column 'age' of f is 'inf'"):
        found([example("f", age="inf")])
    with pytest.raises(InputError, match="holds no number in the training split"):
        Metadata.fit([example("e", age="")], ("age",), ())
    with pytest.raises(InputError, match=r"names 'site', which holds no value in the training"):
        Metadata.fit([example("e", site=""), example("f", site="unknown")], (), ("site",))


def test_what_is_not_known_is_missing_however_it_is_written():
    cells = ("", "unknown", " Unknown", "n/a ", "None")
    rows = [example("a", age="30", site="torso"), example("b", age=" 50", site=" torso ")]
    rows += [example(cell, age=cell, site=cell) for cell in cells]
    found = Metadata.fit(rows, ("age",), ("site",))
    assert found.numbers == {"age": (40, 10)}
    assert found.categories == {"site": ("torso",)}
    np.testing.assert_array_equal(found(rows), [[-1, 0, 1, 0], [1, 0, 1, 0]] + 5 * [[0, 1, 0, 1]])
    assert not found.unseen(rows)


def test_a_column_of_one_number_tells_nothing():
    found = Metadata.fit([example("a", age="5"), example("b", age="5")], ("age",), ())
    np.testing.assert_array_equal(found([example("c", age="5")]), [[0, 0]])


def test_the_longest_name_that_the_table_has_decides():
    table = {name: {"age": name} for name in ("photos/1.png", "a/1", "1.png", "2", "3.5")}
    paths = [pathlib.Path("photos", name) for name in ("1.png", "a/1.png", "a/2.png", "3.5.png")]
    searched = [pathlib.Path("photos/a"), pathlib.Path("photos")]
    found = [row and row["age"] for row in rows_of(table, paths, searched)]
    assert found == ["photos/1.png", "a/1", "2", "3.5"]
    other = pathlib.Path("photos/b/4.png")
    assert rows_of(table, [paths[0], other], searched)[1] is None
    with pytest.raises(InputError, match=r"names photos/1.png, and photos/b/4.png was looked for"):
        rows_of(table, [other], searched)


def test_images_that_a_backbone_learns_from_need_their_columns_in_the_manifest(prepared):
    config = base.get_config()
    with config.unlocked():
        config.data.high_size = (128, 128)
        config.data.synthetic_count = 40
        config.data.prepared_directory = str(prepared)
        config.data.numeric_columns = ("age",)
    with pytest.raises(InputError, match="names 'age', which is not known of the images"):
        load_dataset(config.data)
