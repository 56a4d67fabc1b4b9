"""Weights that load without their run and its data."""

import json

import numpy as np
import pytest
from exported_directory import export
from support import noise_image

import stochconv_jax
from stochconv_jax.errors import InputError
from stochconv_jax.models.from_config import backbone_from_config
from stochconv_jax.models.weights.assignment import assign
from stochconv_jax.runs.initial_weights import read_weights
from stochconv_jax.runs.run import Run

DRAWS = 2


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    directory = tmp_path_factory.mktemp("photographs")
    noise_image(0, (200, 260)).save(directory / "a.jpg", quality=90)
    noise_image(1, (700, 500)).save(directory / "b.png")
    return sorted(directory.iterdir())


@pytest.fixture(scope="module")
def weights(straight, tmp_path_factory):
    """The run's weights, exported."""
    output = tmp_path_factory.mktemp("exported") / "weights"
    return export(straight, output, "--format=safetensors")


def test_weights_load_without_run_and_data_and_predict_the_same_bits(
    straight, weights, photographs
):
    ours, loaded = stochconv_jax.load_run(straight), stochconv_jax.load_run(weights)
    assert (loaded.threshold, loaded.classes) == (ours.threshold, ours.classes)
    assert loaded.threshold_note == ours.threshold_note
    for draws in (0, DRAWS):
        before, after = (
            stochconv_jax.load_run(directory, draws=draws).predict(photographs)
            for directory in (straight, weights)
        )
        np.testing.assert_array_equal(before.logits, after.logits)
    assert "for 4 draws" in stochconv_jax.load_run(weights, draws=DRAWS).threshold_note
    assert sorted(path.name for path in weights.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    text = (weights / "config.json").read_text()
    assert str(straight) not in text
    assert json.loads(text)["run"]["data"]["prepared_directory"] == ""


def test_exported_weights_start_another_run(straight, weights):
    run = Run.open(straight)
    file = read_weights(str(weights / "model.safetensors"))
    found = assign(file, backbone_from_config(run.config), run.abstract_model(), classifier=True)
    assert file.backbone == run.config.model.backbone
    assert not found.anew
    assert not found.passed_over


def test_exported_weights_are_not_taken_for_a_run(weights):
    with pytest.raises(InputError, match="holds an exported network"):
        Run.open(weights)
    with pytest.raises(InputError, match="holds the best checkpoint alone"):
        stochconv_jax.load_run(weights, checkpoint="latest")


def test_a_program_is_not_loaded_as_weights(weights, tmp_path):
    content = json.loads((weights / "config.json").read_text()) | {"file": "model.stablehlo"}
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"holds model\.stablehlo.*--format=safetensors"):
        stochconv_jax.load_run(tmp_path)


def test_weights_that_do_not_fit_are_named(weights, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((weights / name).read_bytes())
    content = json.loads((tmp_path / "config.json").read_text())
    content["classes"] = content["data"]["classes"] = ["a", "b", "c"]
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="classifier"):
        stochconv_jax.load_run(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="damaged or cut short"):
        stochconv_jax.load_run(tmp_path)
