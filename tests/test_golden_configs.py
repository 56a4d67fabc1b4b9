"""No field or default of a config changes unseen: old runs and old papers stand on them."""

import json
import pathlib

import pytest

from stochconv_jax.config_file import load_config

ROOT = pathlib.Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden" / "config_fields.json"
# What stands after the colon, where a file makes more than one config.
ARGUMENTS = {
    "configs/quickstart.py": ("split", "base"),
    "configs/papers/cifar.py": ("10", "10_scratch", "100", "100_scratch"),
    "configs/papers/retinopathy.py": ("plain", "randaugment"),
    "configs/papers/skin_lesions.py": (
        "resnet18_small",
        "resnet18_small,adam",
        "receptive_cnn",
        "resnet18,rmsprop",
        "resnet18_small,plain",
    ),
}
RENEW = (
    "configs differ from tests/golden/config_fields.json. If that is meant, say so in CHANGELOG.md "
    "and run `python tests/test_golden_configs.py` in the repository to renew the file"
)


def fields_of(config, prefix=""):
    """Returns {"data.workers": "int 0"} and so on: every field's type and value."""
    found = {}
    for name, value in config.items():
        if hasattr(value, "items"):
            found |= fields_of(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = f"{type(value).__name__} {value!r}"
    return found


def shipped():
    """Yields the configs that are shipped, as they are named on the command line."""
    for directory in ("configs", "configs/papers"):
        for path in sorted((ROOT / directory).glob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name == "configs/base.py":
                continue
            for argument in ARGUMENTS.get(name, ("",)):
                yield f"{name}:{argument}" if argument else name


def current():
    """Returns what the golden file is to hold: of `base` everything, of the others what differs."""
    base = fields_of(load_config(str(ROOT / "configs/base.py")))
    changes = {}
    for name in shipped():
        fields = fields_of(load_config(str(ROOT / name)))
        assert set(fields) == set(base), name
        changes[name] = {field: value for field, value in fields.items() if value != base[field]}
    return {"fields": base, "changes": changes}


@pytest.mark.parametrize("part", ["fields", "changes"])
def test_no_field_or_default_of_a_config_changed_unseen(part):
    golden, found = json.loads(GOLDEN.read_text(encoding="utf-8"))[part], current()[part]
    different = [name for name in {**golden, **found} if golden.get(name) != found.get(name)]
    told = [f"{name}: {golden.get(name)} became {found.get(name)}" for name in different]
    assert not told, "\n".join([RENEW, *told])


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(current(), indent=1) + "\n", encoding="utf-8")
