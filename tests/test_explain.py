"""From photographs to maps, as a user explains them."""

import dataclasses

import numpy as np
import pytest
from support import SMALL, command, noise_image

from stochconv_jax.command_line import read_flags
from stochconv_jax.errors import InputError
from stochconv_jax.explanations.command import main
from stochconv_jax.explanations.explainer import Explainer
from stochconv_jax.explanations.maps import METHODS
from stochconv_jax.inference.trained_network import TrainedNetwork
from stochconv_jax.runs.run import Run

# Hundreds of passes an image.
pytestmark = pytest.mark.usefixtures("optimized")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(5):
        noise_image(number).save(folder / f"{number}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8nothing")
    return folder


def explain(*arguments):
    main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def explained(straight, photographs, tmp_path_factory):
    """All photographs by every method: (path of the page, arrays)."""
    page = tmp_path_factory.mktemp("explained") / "why.html"
    explain(straight, photographs, "--output", page, "--draws", 2, "--class", "malignant")
    return page, np.load(page.with_suffix(".npz"))


def test_a_page_and_the_maps_of_every_method_are_written(explained, straight):
    page, arrays = explained
    low, high = Run.open(straight).config.data.low_size, Run.open(straight).config.data.high_size
    assert len(arrays["images"]) == 5
    for method in METHODS:
        maps = arrays[f"{method}/map"]
        assert len(maps) == 5
        assert np.isfinite(maps).all()
        if method not in ("grad_cam", "window_map"):
            assert maps.shape[1:] == low
        if method != "grad_cam":  # whose ReLU may leave nothing
            assert (maps.std(axis=(1, 2)) > 0).all()
    cells = tuple(side // 2 for side in high)
    assert arrays["window_map/map"].shape[1:] == arrays["window_map/coverage"].shape[1:] == cells
    written = page.read_text()
    assert written.count("data:image/png;base64,") == 5
    assert "broken.jpg: " in written
    assert "://" not in written
    assert "It was trained on 32 drawings by a program" in written


def test_a_map_does_not_depend_on_what_else_is_explained(
    explained, straight, photographs, tmp_path
):
    alone = tmp_path / "alone.html"
    fixed = ("--output", alone, "--draws", 2, "--class", "malignant")
    explain(straight, photographs / "3.png", *fixed)
    for name, maps in np.load(alone.with_suffix(".npz")).items():
        if name != "images":
            np.testing.assert_allclose(maps[0], explained[1][name][3], rtol=1e-3, atol=1e-4)


def test_the_class_that_is_decided_for_is_explained(straight, photographs, explained, tmp_path):
    page = tmp_path / "decided.html"
    explain(straight, photographs, "--output", page, "--draws", 2, "--methods", "occlusion")
    found, towards = np.load(page.with_suffix(".npz"))["occlusion/map"], explained[1]
    for row, maps in enumerate(found):
        decided = page.read_text().split("<section>")[row + 1]
        sign = 1 if "Explained: malignant" in decided else -1
        assert ("<p>malignant;" in decided) == (sign == 1)
        np.testing.assert_allclose(maps, sign * towards["occlusion/map"][row], atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--class", "purple"), "there is no class 'purple'; use one of benign, malignant"),
        (("--methods", "lime"), "there is no method 'lime'; use one of grad_cam, "),
        (("--draws", "-1"), "--draws is -1; it must be 1 or more"),
        (("--output", "why.png"), "--output why.png is not the name of a page"),
    ],
)
def test_mistakes_are_told_in_a_sentence(straight, photographs, arguments, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        explain(straight, photographs / "0.png", *arguments)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_nothing_is_written_where_no_file_can_be_read(straight, photographs, tmp_path, capsys):
    page = tmp_path / "why.html"
    with pytest.raises(SystemExit):
        explain(straight, photographs / "broken.jpg", "--output", page)
    assert "none of the 1 files could be used: " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_network_is_asked_only_for_what_its_branches_can_tell(prepared, tmp_path):
    fields = SMALL | {"model.join": "head"}
    flags = command("configs/quickstart.py:base", tmp_path / "plain", prepared, **fields)
    with Run.create(read_flags(["program", *flags])[0], tmp_path / "plain") as (run, _):
        network = TrainedNetwork(run, (), 0, 0)
    assert Explainer.of_run(network).methods == tuple(METHODS)[:-1]
    with pytest.raises(InputError, match="no stochastic branch, so that window_map cannot be had"):
        Explainer.of_run(network, ["window_map"])
    config = run.config.copy_and_resolve_references().unlock()
    config.model.branches = ("metadata",)
    table = TrainedNetwork(dataclasses.replace(run, config=config.lock()), (), 0, 0)
    with pytest.raises(InputError, match="reads no pixels to explain by"):
        Explainer.of_run(table)
