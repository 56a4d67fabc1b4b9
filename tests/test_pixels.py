"""Pixels normalised by the mean and deviation of the images that train."""

import dataclasses
import json
import shutil

import cv2
import jax
import numpy as np
import pytest
from flax import nnx
from support import SMALL, command, complain, noise, run_here
from toy_family import Toy

from stochconv_jax.config_file import load_config
from stochconv_jax.config_limits import check_limits
from stochconv_jax.data.dataset.image_dataset import Example, ImageDataset
from stochconv_jax.data.framing import Framing
from stochconv_jax.data.pipeline.batches import Pipeline
from stochconv_jax.data.pipeline.channel_statistics import channel_statistics
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.evaluate import evaluate
from stochconv_jax.evidence.runs import read_runs
from stochconv_jax.models import BACKBONES, create_model
from stochconv_jax.models.backbone import HALF, Pixels
from stochconv_jax.models.families import make_backbone
from stochconv_jax.models.weights.read_file import read_weight_file
from stochconv_jax.prediction.predictor import load_run
from stochconv_jax.runs import import_command
from stochconv_jax.runs.initial_weights import resolve_auto
from stochconv_jax.runs.run import Run
from stochconv_jax.training.loop import train

MEAN, DEVIATION = (0.42, 0.22, 0.075), (0.27, 0.15, 0.081)


@dataclasses.dataclass(frozen=True)
class PixelToy(Toy):
    """The toy family, whose pixels may be asked for otherwise."""

    pixels: Pixels = HALF


def make_dataset(images, splits):
    """Returns images kept without loss, all of one class."""
    records = [{"image": cv2.imencode(".png", image[..., ::-1])[1].tobytes()} for image in images]
    examples = tuple(Example(f"i{n}", "a", "", "") for n in range(len(images)))
    size = images[0].shape[:2]
    return ImageDataset(records, examples, ("a", "b"), np.array(splits), Framing(size, (1, 1)))


def test_mean_and_deviation_are_those_of_the_small_training_images_whatever_the_batch():
    # Colours of their own, and other ones in what validates.
    images = noise(0, 9, 32, 48, 3) // np.array([1, 2, 4], np.uint8)
    images[6:] = 255
    dataset = make_dataset(images, ["train"] * 6 + ["validation"] * 3)
    pipeline = Pipeline(dataset, (16, 24), high=False)
    found = channel_statistics(pipeline)
    small = np.concatenate([b["image_low"] for b in pipeline.evaluation_batches("train", 6)])
    np.testing.assert_allclose(found[0], (small / 255).mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(found[1], (small / 255).std(axis=(0, 1, 2)), rtol=1e-12)
    assert found == channel_statistics(pipeline, batch_size=4)  # which six images do not fill


def test_a_colour_that_never_changes_is_told():
    images = noise(0, 2, 8, 8, 3) * np.array([1, 1, 0], np.uint8)
    with pytest.raises(InputError, match="blue is the same in every pixel of the training images"):
        channel_statistics(Pipeline(make_dataset(images, ["train"] * 2), (8, 8), high=False))


def test_both_branches_see_pixels_as_normalised_by_hand(monkeypatch):
    monkeypatch.setitem(BACKBONES, "toy", PixelToy())
    measured = make_backbone("toy", "dataset", "backbone", MEAN, DEVIATION)
    made = {"seed": 0, "branches": ("global", "stochastic"), "output_size": (8, 16)}
    ours, plain = (create_model(each, **made) for each in (measured, make_backbone("toy", "unit")))
    nnx.update(plain, nnx.state(ours, nnx.Param))
    images = noise(0, 2, 40, 40, 3).astype(np.float32)
    by_hand = (images / 255 - np.float32(MEAN)) / np.float32(DEVIATION) * 255

    @nnx.jit
    def logits(model, images):
        return model(images[:, :32, :32], images, jax.random.key(0))

    found = logits(ours, images)
    np.testing.assert_allclose(found, logits(plain, by_hand), rtol=1e-4, atol=1e-5)
    assert abs(found - logits(plain, images)).max() > 0.01


@pytest.fixture(scope="module")
def measured(prepared, tmp_path_factory):
    """A run of the toy family that began with its own images' mean and deviation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, "toy", PixelToy())
        workdir = tmp_path_factory.mktemp("measured") / "run"
        run_here(train, _command(workdir, prepared))
        yield workdir


def _command(workdir, prepared, **fields):
    fields = {"model.backbone": "toy", "model.pixels": "dataset", "train.epochs": "1"} | fields
    return command("configs/quickstart.py:base", workdir, prepared, **(SMALL | fields))


def _model(directory):
    return json.loads((directory / "config.json").read_text())["model"]


def test_a_run_measures_once_and_keeps_to_it(measured, prepared, monkeypatch, capsys, tmp_path):
    found = _model(measured)
    assert found["pixels"] == "dataset"
    assert all(0.2 < value < 0.9 for value in found["pixel_mean"])
    assert all(0 < value < 0.5 for value in found["pixel_deviation"])
    # It goes on by the same command, and does not measure again: these numbers are not its own.
    run = tmp_path / "run"
    shutil.copytree(measured, run)
    config = json.loads((run / "config.json").read_text())
    config["model"] |= {"pixel_mean": MEAN, "pixel_deviation": DEVIATION}
    (run / "config.json").write_text(json.dumps(config))
    run_here(train, _command(run, prepared, **{"train.epochs": "2"}))
    assert tuple(_model(run)["pixel_mean"]) == MEAN
    conv = load_run(run).network.run.abstract_model().branches["global"].conv
    assert (conv.mean, conv.deviation) == (MEAN, DEVIATION)
    run_here(evaluate, [f"--workdir={run}"])
    other = {"model.pixel_mean": "(0.5, 0.5, 0.5)", "model.pixel_deviation": str(DEVIATION)}
    error = complain(monkeypatch, capsys, train, _command(run, prepared, **other))
    assert "model.pixel_mean is [0.42, 0.22, 0.075] there and [0.5, 0.5, 0.5] here" in error


def test_the_weights_of_a_run_bring_its_numbers(measured, tmp_path):
    wanted = (tuple(_model(measured)["pixel_mean"]), tuple(_model(measured)["pixel_deviation"]))
    config = Run.open(measured).config.copy_and_resolve_references().unlock()
    config.model.update({"weights": str(measured), "pixels": "auto"})
    config.model.pixel_mean = config.model.pixel_deviation = ()
    resolve_auto(config)
    assert config.model.pixels == "dataset"
    assert (config.model.pixel_mean, config.model.pixel_deviation) == wanted
    output = tmp_path / "mine.safetensors"
    import_command.main([str(measured), f"--output={output}"])
    file = read_weight_file(output)
    assert (file.pixels, file.pixel_mean, file.pixel_deviation) == ("dataset", *wanted)


def test_folds_of_one_model_have_numbers_of_their_own(measured, tmp_path):
    for fold in (0, 1):
        run = tmp_path / "toy" / f"seed0_fold{fold}"
        shutil.copytree(measured, run)
        config = json.loads((run / "config.json").read_text())
        config["data"]["fold"] = fold
        config["model"]["pixel_mean"][0] += fold / 1000
        (run / "config.json").write_text(json.dumps(config))
    assert [run.fold for run in read_runs([tmp_path])[0]] == [0, 1]


def test_songs_pixels_are_normalised_as_the_thesis_tells():
    for name, blue in (("cifar.py:10", 0.4465), ("cifar.py:100_scratch", 0.4408)):
        config = load_config(f"configs/papers/{name}")
        assert config.model.pixel_mean[2] == blue
        check_limits(config)
    config = load_config("configs/papers/retinopathy.py")
    assert (config.model.pixel_mean, config.model.pixel_deviation) == (MEAN, DEVIATION)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"pixel_mean": MEAN}, "set both, or leave both at ()"),
        ({"pixel_deviation": DEVIATION}, "set both, or leave both at ()"),
        ({"pixel_mean": MEAN, "pixel_deviation": (0.2, 0.0, 0.1)}, "pixels are divided by it"),
        ({"pixel_mean": (0.4, 0.2)}, "must be three numbers of 0 to 1"),
        ({"pixel_mean": (107.0, 56.0, 19.0)}, "must be three numbers of 0 to 1"),
        ({"pixel_deviation": ("a", "b", "c")}, "must be three numbers of 0 to 1"),
        (
            {"pixel_mean": MEAN, "pixel_deviation": DEVIATION, "pixels": "imagenet"},
            "are for model.pixels='dataset', and model.pixels is 'imagenet'",
        ),
        ({"branches": ("metadata",)}, "reads no pixels; leave model.pixels at auto"),
    ],
)
def test_numbers_that_cannot_be_are_told(fields, sentence, monkeypatch, capsys, tmp_path):
    fields = {f"model.{name}": str(value) for name, value in fields.items()}
    arguments = _command(tmp_path / "run", tmp_path / "prepared", **fields)
    assert sentence in complain(monkeypatch, capsys, train, arguments)
    assert not list(tmp_path.iterdir())
