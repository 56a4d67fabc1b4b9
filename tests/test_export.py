"""Programs that run without this package, and what the command refuses."""

import csv
import pathlib
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
from demo_client import png_header
from exported_directory import export
from support import noise_image

import stochconv_jax
from stochconv_jax.exporting import standalone
from stochconv_jax.exporting.onnx_file import INSTALL

DRAWS = 2
# XLA, other runtimes and other batches round differently.
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


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
    groups = set(re.findall(r"feature_group_count = (\d+) :", exported.mlir_module()))
    assert {"1"} < groups


def test_windows_may_be_given(straight, photographs, predictions, tmp_path):
    options = ("--format=stablehlo", "--windows=given", f"--draws={DRAWS}")
    network, logits = standalone_logits(export(straight, tmp_path / "x", *options), photographs)
    np.testing.assert_allclose(logits, predictions.logits, **CLOSE)
    given = network.inputs(photographs[0].read_bytes())
    moved = {**given, "corners": np.zeros_like(given["corners"])}
    assert not np.allclose(network.logits([moved]), logits[:1], **CLOSE)


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
    (tmp_path / "bomb.png").write_bytes(png_header(40000, 40000))
    (tmp_path / "a, b.jpg").write_bytes(photographs[0].read_bytes())
    done = subprocess.run(
        [sys.executable, "-I", program / "predict.py", "bomb.png", "absent.jpg", "a, b.jpg"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    header, values = csv.reader(done.stdout.splitlines())
    assert header == ["image", "benign", "malignant", "decision"]
    assert values[0] == "a, b.jpg"
    assert float(values[2]) == pytest.approx(predictions.probabilities[0, 1], abs=1e-5)
    assert values[3] == predictions.decisions[0]
    assert "absent.jpg" in done.stderr
    assert "bomb.png: more pixels than can be opened safely" in done.stderr
    assert "Traceback" not in done.stderr
    source = pathlib.Path(standalone.__file__).read_text()
    assert "import stochconv_jax" not in source
    assert "from stochconv_jax" not in source


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


def test_runs_and_outputs_that_cannot_be_are_refused(straight, program, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    cases = [
        (tmp_path / "absent", tmp_path / "x", "is not the directory of a run"),
        (straight, tmp_path / "full", "is there already"),
        (straight, tmp_path / "no" / "where", "lies in no directory"),
        (program, tmp_path / "x", "is exported already"),
    ]
    for run, output, sentence in cases:
        with pytest.raises(SystemExit) as stopped:
            export(run, output, "--format=safetensors")
        assert stopped.value.code == 2
        assert sentence in capsys.readouterr().err
    with pytest.raises(SystemExit):
        export(straight, tmp_path / "x", "--format=tflite")
    told = capsys.readouterr().err
    assert "invalid choice: 'tflite'" in told
    assert told.startswith("usage: stochconv export ")
