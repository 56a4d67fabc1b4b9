"""Wrong values of every field that configs/base.py has, a new one's included."""

import ast
import contextlib
import functools
import json
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from ml_collections import ConfigDict
from small_config import get_config
from support import SMALL

from stochconv_jax.command_line import read_command
from stochconv_jax.configs import base
from stochconv_jax.data.framing import Framing
from stochconv_jax.data.load import load_dataset
from stochconv_jax.errors import InputError
from stochconv_jax.runs.run import Run


def fields_of(config, section=""):
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            yield from fields_of(value, f"{section}{name}.")
        else:
            yield section + name, value


FIELDS = dict(fields_of(base.get_config()))
# Names of people's own columns, classes and files: any text may be one. All others are choices.
FREE = {
    "data.directory",
    "data.origin",
    "data.table",
    "data.image_column",
    "data.label_column",
    "data.group_column",
    "data.split_column",
    "data.positive_class",
    "data.prepared_directory",
}
# Tuples of such names.
NAMES = {"data.numeric_columns", "data.category_columns", "data.feedback"}
NOT_FINITE = [math.nan, math.inf, -math.inf]
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.tuples(), st.just({})
)


def wrong_values(field):
    """Returns a strategy for what a field must not be."""
    default = FIELDS[field]
    if isinstance(default, bool):
        return ANYTHING.filter(lambda value: not isinstance(value, bool))
    if isinstance(default, int):
        whole = st.integers(max_value=-1) | st.integers(min_value=2**32)
        return whole | ANYTHING.filter(lambda value: type(value) is not int)
    if isinstance(default, float):
        negative = st.floats(max_value=0.0, exclude_max=True)
        # ConfigDict itself makes 1.0 of True.
        others = ANYTHING.filter(lambda value: not isinstance(value, int | float))
        return negative | st.sampled_from([*NOT_FINITE, 10**400]) | others
    if isinstance(default, tuple):
        odd = [*NOT_FINITE, 10**400, True, None, -1, -0.5, "nonsense", (), ("a", 1)]
        members = st.sampled_from(odd)
        wrong = st.lists(members, min_size=1, max_size=9).map(tuple)
        if field in NAMES:
            wrong = wrong.filter(lambda value: not all(isinstance(each, str) for each in value))
        return wrong | ANYTHING.filter(lambda value: not isinstance(value, tuple))
    wrong = ANYTHING.filter(lambda value: not isinstance(value, str))
    # Surrogates cannot be typed.
    texts = st.text(min_size=1).map(lambda text: f"{text}~")
    return wrong if field in FREE else wrong | texts


# What a flag must not say, by the type of its field.
WORDS = {
    bool: ("2", "1.5", "maybe", "", "None", "()"),
    int: ("-1", "1.5", "nan", "many", "", "None", "True", "()", "(1,)", str(2**32), "9" * 400),
    float: ("-0.5", "nan", "-inf", "inf", "1e999", "9" * 400, "many", "", "None", "()", "(1.0,)"),
    tuple: (
        "(1e999,)",
        f"({10**400},)",
        "(True, True)",
        "(-1, -1)",
        "((), ())",
        "1.5, maybe",
        "(0.5, None)",
    ),
    str: ("nonsense", "-1", "(1, 2)", "Even", " "),
}


FRAMING = Framing((16, 16), (1, 1)).to_json()
DATA = {"classes": ["a", "b"], "framing": FRAMING, "fingerprint": ""}
COMMAND = ("program", "--config=quickstart", "--workdir=run")


def is_json(value):
    """Returns whether a value is the same when it is read from JSON, but for tuples."""
    return json.loads(json.dumps(value)) == value or isinstance(value, tuple | float)


@functools.cache
def tiny():
    config = get_config()
    for name, value in SMALL.items():
        section, field = name.split(".")
        default = config[section][field]
        config[section][field] = value if isinstance(default, str) else ast.literal_eval(value)
    return config.lock()


def with_value(field, value):
    config = tiny().copy_and_resolve_references()
    *sections, name = field.split(".")
    section = config
    for each in sections:
        section = section[each]
    with section.ignore_type(), section.unlocked():
        section[name] = value
    return config


def begin(arguments):
    with Run.create(read_command(arguments, {}).config, "run"):
        pass


def use(directory):
    run = Run.open(directory)
    run.abstract_model()
    load_dataset(run.config.data)


@pytest.fixture
def nothing(tmp_path):
    """An empty directory that must stay empty, as the current one."""
    with contextlib.chdir(tmp_path):
        yield tmp_path
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("field", FIELDS)
def test_a_wrong_value_is_refused_by_name_before_anything_is_written(field, nothing):
    @given(wrong_values(field))
    def refuses(value):
        config = with_value(field, value)
        with pytest.raises(InputError) as told, Run.create(config, nothing / "run"):
            pass
        assert field.rpartition(".")[2] in str(told.value)
        assert "\n" not in str(told.value)

    refuses()


@pytest.mark.parametrize("field", [field for field in FIELDS if field not in FREE | NAMES])
def test_what_cannot_be_a_value_is_refused_as_a_flag(field, nothing):
    for word in WORDS[type(FIELDS[field])]:
        with pytest.raises(InputError) as told:
            begin([*COMMAND, f"--config.{field}={word}"])
        assert field.rpartition(".")[2] in str(told.value), word


@pytest.mark.parametrize("field", FIELDS)
def test_a_mistyped_field_is_refused(field):
    @given(st.data())
    def refuses(data):
        place = data.draw(st.integers(0, len(field) - 1))
        wrong = field[:place] + data.draw(st.sampled_from(["", "x", "_"])) + field[place + 1 :]
        assume(wrong not in FIELDS)
        with pytest.raises(InputError) as told:
            read_command([*COMMAND, f"--config.{wrong}=1"], {})
        assert "\n" not in str(told.value)

    refuses()


@pytest.mark.parametrize("section", ["data", "data.augment", "model", "train", "eval"])
def test_a_section_is_no_value(section, nothing):
    for value in (None, 1, "text", {}, ConfigDict()):
        with pytest.raises(InputError) as told, Run.create(with_value(section, value), "run"):
            pass
        assert section in str(told.value)
    with pytest.raises(InputError, match=section):
        read_command([*COMMAND, f"--config.{section}=1"], {})


@pytest.mark.parametrize("field", FIELDS)
def test_a_wrong_value_in_a_runs_config_is_refused(field, tmp_path):
    @given(wrong_values(field).filter(is_json))
    def refuses(value):
        content = tiny().to_dict()
        *sections, name = field.split(".")
        section = content
        for each in sections:
            section = section[each]
        section[name] = value
        (tmp_path / "config.json").write_text(json.dumps(content))
        (tmp_path / "data.json").write_text(json.dumps(DATA))
        with pytest.raises(InputError) as told:
            use(tmp_path)
        assert name in str(told.value)

    refuses()
