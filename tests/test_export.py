"""What leaves the project: programs that run without it, weights that load without data, cards."""

import json
import pathlib
import subprocess
import sys

import cv2
import jax
import numpy as np
import pytest
from support import noise, noise_image

import stochconv_jax
from stochconv_jax.data.pipeline.shrink import shrink
from stochconv_jax.errors import InputError
from stochconv_jax.exporting import standalone
from stochconv_jax.exporting.command import main
from stochconv_jax.exporting.onnx_file import INSTALL
from stochconv_jax.exporting.small_image import small_images
from stochconv_jax.keys import Purpose, run_key
from stochconv_jax.models.context import Context
from stochconv_jax.models.from_config import backbone_from_config
from stochconv_jax.models.weights.assignment import assign
from stochconv_jax.models.window_sampler import make_window_sampler
from stochconv_jax.ops import stochastic_conv
from stochconv_jax.ops.method import portable_forms
from stochconv_jax.runs.initial_weights import read_weights
from stochconv_jax.runs.run import Run

DRAWS = 2
# XLA, other runtimes and other batches round differently.
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def export(run, output, *arguments):
    main([str(run), f"--output={output}", *arguments])
    return output


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Three photographs, one large and one with transparent pixels."""
    directory = tmp_path_factory.mktemp("photographs")
    noise_image(0, (200, 260)).save(directory / "a.jpg", quality=90)
    noise_image(1, (700, 500)).save(directory / "b.png")
    noise_image(2).convert("RGBA").resize((90, 130)).save(directory / "c.webp", lossless=True)
    return sorted(directory.iterdir())


@pytest.fixture(scope="module")
def predictions(straight, photographs):
    """What the run itself says of them."""
    return stochconv_jax.load_run(straight, draws=DRAWS).predict(photographs)


@pytest.fixture(scope="module")
def program(straight, tmp_path_factory):
    """StableHLO that draws its windows."""
    output = tmp_path_factory.mktemp("exported") / "program"
    return export(straight, output, "--format=stablehlo", f"--draws={DRAWS}")


@pytest.fixture(scope="module")
def weights(straight, tmp_path_factory):
    """The weights, with a licence."""
    output = tmp_path_factory.mktemp("exported") / "weights"
    return export(straight, output, "--format=safetensors", "--license=cc0-1.0")


def standalone_logits(directory, photographs):
    network = standalone.Network(directory)
    given = [network.inputs(path.read_bytes()) for path in photographs]
    # All together and one by one: the batch is free.
    together = network.logits(given)
    np.testing.assert_allclose(network.logits(given[:1]), together[:1], **CLOSE)
    return network, together


def test_stablehlo_says_what_prediction_says(program, photographs, predictions):
    network, logits = standalone_logits(program, photographs)
    assert logits.shape == (3, DRAWS, 1)
    np.testing.assert_allclose(logits, predictions.logits, **CLOSE)
    found = network.probabilities(logits)
    np.testing.assert_allclose(found, predictions.probabilities, atol=1e-5)
    assert network.decide(found) == list(predictions.decisions)


def test_stablehlo_is_for_cpu_and_cuda_whatever_this_machine_is(program):
    exported = jax.export.deserialize(bytearray((program / "model.stablehlo").read_bytes()))
    assert exported.platforms == ("cpu", "cuda")
    assert [aval.shape[1:] for aval in exported.in_avals] == [(128, 128, 3), ()]
    # The depthwise convolutions of accelerators are there beside the CPU's.
    assert "feature_group_count = 1 :" in (text := exported.mlir_module())
    assert any(f"feature_group_count = {groups} :" in text for groups in (16, 24, 48, 96))


def test_windows_may_be_given(straight, photographs, predictions, tmp_path):
    options = ("--format=stablehlo", "--windows=given", f"--draws={DRAWS}")
    network, logits = standalone_logits(export(straight, tmp_path / "x", *options), photographs)
    np.testing.assert_allclose(logits, predictions.logits, **CLOSE)
    given = network.inputs(photographs[0].read_bytes())
    moved = {**given, "corners": np.zeros_like(given["corners"])}
    assert np.abs(network.logits([moved]) - logits[:1]).max() > 1e-3


def test_onnx_says_what_prediction_says(straight, photographs, predictions, tmp_path):
    pytest.importorskip("jax2onnx", reason=f"jax2onnx converts to ONNX: {INSTALL}")
    pytest.importorskip("onnxruntime", reason="onnxruntime runs what is converted")
    output = export(straight, tmp_path / "x", "--format=onnx", f"--draws={DRAWS}")
    _, logits = standalone_logits(output, photographs)
    np.testing.assert_allclose(logits, predictions.logits, **CLOSE)


def test_without_the_converter_one_sentence_says_what_to_install(
    straight, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(SystemExit):
        export(straight, tmp_path / "x", "--format=onnx")
    assert INSTALL in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_program_beside_it_runs_alone(program, photographs, predictions, tmp_path):
    """As a stranger starts it, isolated from this package."""
    done = subprocess.run(
        [sys.executable, "-I", program / "predict.py", *photographs[:1], tmp_path / "absent.jpg"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    header, row = done.stdout.splitlines()
    assert header == "image,benign,malignant,decision"
    values = row.split(",")
    assert float(values[2]) == pytest.approx(predictions.probabilities[0, 1], abs=1e-5)
    assert values[3] == predictions.decisions[0]
    assert "absent.jpg" in done.stderr
    source = pathlib.Path(standalone.__file__).read_text()
    assert "import stochconv_jax" not in source
    assert "from stochconv_jax" not in source


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


def test_exported_weights_are_not_taken_for_a_run(weights, program, tmp_path):
    with pytest.raises(InputError, match="holds an exported network"):
        Run.open(weights)
    with pytest.raises(InputError, match="holds the best checkpoint alone"):
        stochconv_jax.load_run(weights, checkpoint="latest")
    with pytest.raises(InputError, match=r"holds model\.stablehlo.*--format=safetensors"):
        stochconv_jax.load_run(program)


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


def test_the_card_tells_data_decision_limits_and_licence(weights, program):
    card = (weights / "README.md").read_text()
    assert "license: cc0-1.0\n" in card
    assert "license: unknown\n" in (program / "README.md").read_text()
    images = [line for line in card.splitlines() if line.startswith("| benign")]
    assert sum(int(cell) for cell in images[0].split("|")[2:-1]) == 20
    assert "malignant from a probability of" in card
    assert "nothing but drawings" in card
    assert "medical device" in card
    assert "None: the run was not evaluated" in card
    assert "{{" not in card


def test_the_card_holds_the_figures_of_the_evaluation_that_was_kept(straight, tmp_path):
    run = tmp_path / "run"
    run.symlink_to(straight, target_is_directory=True)
    kept = straight / "eval" / "metrics.json"
    kept.parent.mkdir()
    kept.write_text(
        json.dumps(
            {
                "split": "test",
                "step": 1,
                "images": 50,
                "groups": 40,
                "draws": 4,
                "roc_auc": 0.8125,
                "roc_auc_delong_interval": [0.7, 0.9],
                "accuracy": None,
                "brier_score": 0.2,
                "intervals": {"brier_score": [0.125, 0.25]},
                "thresholds": [
                    {
                        "rule": "95% specificity",
                        "threshold": 0.5,
                        "sensitivity": 0.25,
                        "sensitivity_interval": [0.125, 0.5],
                        "specificity": 0.75,
                        "specificity_interval": [None, None],
                    }
                ],
            }
        )
    )
    try:
        card = (export(run, tmp_path / "x", "--format=safetensors") / "README.md").read_text()
    finally:
        kept.unlink()
        kept.parent.rmdir()
    assert "50 images (40 groups) of the test split" in card
    assert "made with step 1, other than this file" in card
    assert "| roc_auc | 0.812 [0.700, 0.900] |" in card
    assert "| brier_score | 0.200 [0.125, 0.250] |" in card
    assert "| 95% specificity: 0.500 | 0.250 [0.125, 0.500] | 0.750 |" in card
    assert "    - type: roc_auc\n      value: 0.8125\n" in card


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--format=stablehlo", "--draws=-1"], "--draws is -1"),
        (["--format=safetensors", "--windows=inside"], "leave --windows out"),
        (["--format=onnx", "--windows=inside"], "leave --windows=inside out"),
    ],
)
def test_options_that_cannot_be_are_refused(straight, tmp_path, capsys, arguments, sentence):
    with pytest.raises(SystemExit) as stopped:
        export(straight, tmp_path / "x", *arguments)
    assert stopped.value.code == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_runs_and_outputs_that_cannot_be_are_refused(straight, weights, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    cases = [
        (tmp_path / "absent", tmp_path / "x", "is not the directory of a run"),
        (straight, tmp_path / "full", "is there already"),
        (straight, tmp_path / "no" / "where", "lies in no directory"),
        (weights, tmp_path / "x", "is exported already"),
    ]
    for run, output, sentence in cases:
        with pytest.raises(SystemExit) as stopped:
            export(run, output, "--format=safetensors")
        assert stopped.value.code == 2
        assert sentence in capsys.readouterr().err
    with pytest.raises(SystemExit):
        export(straight, tmp_path / "x", "--format=tflite")
    assert "invalid choice: 'tflite'" in capsys.readouterr().err


@pytest.mark.parametrize("placement", ["even", "independent"])
@pytest.mark.parametrize("per_image", [True, False])
@pytest.mark.parametrize("axes", ["independent", "diagonal"])
def test_numpy_draws_the_windows_of_jax(placement, per_image, axes):
    if placement == "even" and axes == "diagonal":
        pytest.skip("even windows have independent axes")
    image, window, index = (300, 517), (64, 33), np.array([5, 2**31 - 1], np.int32)
    sampler = make_window_sampler(6, per_image, axes, placement)
    key = run_key(7, Purpose.EVALUATION)
    wanted = [sampler(Context.of_pass(key, index, draw=n), image, window, None) for n in range(3)]
    windows = {
        "key": jax.random.key_data(Context.of_pass(key, index).window_key).tolist(),
        "placement": placement,
        "per_image": per_image,
        "axes": axes,
        "draws": 3,
        "count": 6,
        "spans": [237, 485],
    }
    found = [standalone.corners(windows, int(each)) for each in index]
    np.testing.assert_array_equal(np.stack(found), np.stack(wanted, axis=1))


@pytest.mark.parametrize(
    ("high", "low", "levels"),
    [
        ((128, 128), (32, 32), 0),
        ((56, 56), (8, 8), 0),
        ((64, 64), (64, 64), 0),
        ((60, 90), (20, 30), 0),
        ((128, 96), (28, 28), 1),
    ],
)
def test_the_small_image_is_the_hosts(high, low, levels):
    images = np.stack([noise(0, *high, 3), cv2.GaussianBlur(noise(1, *high, 3), (0, 0), 3)])
    found = np.asarray(small_images(images, low)).astype(int)
    apart = np.abs(found - np.stack([shrink(image, low) for image in images]))
    assert apart.max() <= levels
    assert (apart > 0).mean() < 0.01


def test_windows_that_are_copied_are_convolved_alike():
    images, kernel = noise(0, 2, 40, 44, 3), np.random.default_rng(1).normal(size=(3, 3, 3, 8))
    corners = np.array([[[0, 0], [3, 7]], [[27, 31], [1, 30]]], np.int32)
    kernel = kernel.astype(np.float32)
    wanted = stochastic_conv(images, kernel, corners, (6, 6))
    with portable_forms():
        found = stochastic_conv(images, kernel, corners, (6, 6))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-3)
