"""What the demo's page makes of whatever programs say to it, asked without a server."""

import logging
import threading

import pytest
from demo_client import encoded
from demo_page import guessing_page
from support import noise_image

from stochconv_jax.demonstration.periodic import every

gradio = pytest.importorskip("gradio", reason="the demo extra is not installed")


@pytest.fixture
def page(tmp_path):
    example = tmp_path / "example.png"
    noise_image(7).save(example)
    return guessing_page(tmp_path, examples=[example])[0]


def upload(folder, name="mole.png"):
    path = folder / "upload.png"
    path.write_bytes(encoded(noise_image(0)))
    return {"path": str(path), "orig_name": name}


@pytest.mark.parametrize("number", [10**6, -1, 1, "x", None, [0]])
def test_an_example_that_is_none_is_told(page, number):
    with pytest.raises(gradio.Error, match="no such example"):
        page.predict_example(number, "moles")


def test_what_is_out_of_place_is_told_in_a_sentence(page, tmp_path):
    with pytest.raises(gradio.Error, match="no image yet"):
        page.show(None)
    with pytest.raises(gradio.Error, match=r"no network \['moles'\]; use one of moles"):
        page.predict_example(0, ["moles"])
    for wrong in ("path", [upload(tmp_path)], {"name": "x"}, {"path": 5}):
        with pytest.raises(gradio.Error, match="the upload is no file"):
            page.predict(wrong, None, "moles")
    assert page.predict(upload(tmp_path, 5), None, "moles")[1].name == "5"


def test_names_and_comments_are_plain_text(page, tmp_path):
    """A lone surrogate is in no file; what begins with ESC steers the terminal of who exports."""
    name = "C:\\a\x1b]0;evil\x07\ud800\x85\r\nü.png"
    answer = page.predict(upload(tmp_path, name), None, "moles")[1]
    page.flag(answer, "benign", "one\ud800\x1b[2J\n\ttwo ü")
    (flag,) = page.store.flags()
    assert (flag.name, flag.comment) == ("a]0;evilü.png", "one[2J\n\ttwo ü")


def test_what_is_done_again_and_again_outlives_a_failure(caplog):
    calls, again = [], threading.Event()

    def fail_once():
        calls.append(1)
        if len(calls) == 1:
            raise OSError("gone meanwhile")
        again.set()

    with caplog.at_level(logging.ERROR), every(0.01, fail_once):
        assert again.wait(20)
    assert "gone meanwhile" in caplog.text
