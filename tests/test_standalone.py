"""predict.py of an exported network: what it makes of files and rows is what the package makes."""

import io
import json
import runpy
import shutil
import sys

import jax
import numpy as np
import pytest
from demo_client import png_header
from PIL import Image
from support import noise_image

from stochconv_jax.data.dataset.image_dataset import Example
from stochconv_jax.data.dataset.metadata import Metadata
from stochconv_jax.data.framing import Framing
from stochconv_jax.errors import InputError
from stochconv_jax.exporting import standalone
from stochconv_jax.keys import Purpose, run_key
from stochconv_jax.models.context import Context
from stochconv_jax.models.window_sampler import make_window_sampler

METADATA = Metadata({"age": (50.0, 10.0)}, {"sex": ("female", "male")})
CONFIG = {"metadata": METADATA.to_json(), "framing": None, "classes": ["a", "b"]}
FRAMING = Framing((64, 48), (64, 48), crop_above=100, crop_to=80)


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


def encoded(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def turned():
    exif = Image.Exif()
    exif[0x112] = 6  # EXIF orientation: to be turned right
    return encoded(noise_image(0, (90, 120)), "JPEG", exif=exif)


@pytest.mark.parametrize(
    "content",
    [
        turned(),
        encoded(noise_image(0, (130, 120)), "JPEG"),
        encoded(noise_image(0, (5, 5)), "PNG"),
        encoded(noise_image(0).convert("P"), "PNG", transparency=3),
        encoded(noise_image(0).convert("RGBA"), "WEBP", lossless=True),
        encoded(noise_image(0).convert("L"), "TIFF"),
    ],
    ids=["turned", "cropped", "tiny", "transparent", "webp", "grey"],
)
def test_files_are_framed_as_the_package_frames_them(content):
    wanted = np.asarray(Image.open(io.BytesIO(FRAMING.frame(content))))
    np.testing.assert_array_equal(standalone.frame(content, FRAMING.to_json()), wanted)


@pytest.mark.parametrize(
    "content",
    [
        encoded(noise_image(0).convert("P"), "GIF"),
        png_header(40000, 40000),
        png_header(14000, 10000),  # of which Pillow warns
        encoded(noise_image(0), "JPEG")[:3000],
        encoded(noise_image(0), "PNG")[:3000],
        b"\x89PNG\r\n\x1a\n" + bytes(20),
        b"",
        b"text",
    ],
    ids=["gif", "bomb", "large", "short_jpeg", "short_png", "zeros", "empty", "text"],
)
def test_files_that_the_package_refuses_are_refused(content):
    with pytest.raises(InputError):
        FRAMING.frame(content)
    with pytest.raises(ValueError, match=r"not an image|safely|damaged|empty"):
        standalone.frame(content, FRAMING.to_json())


@pytest.mark.parametrize("age", ["", "62.5", " 40 ", "unknown", "NaN", "N/A", "None", "1e2"])
@pytest.mark.parametrize("sex", ["", "male", " female ", "Unknown", "nan", "n/a", "none", "other"])
def test_rows_become_the_packages_inputs(age, sex):
    row = {"age": age, "sex": sex}
    (wanted,) = METADATA([Example("a", "", "", "", row)])
    np.testing.assert_array_equal(standalone.metadata(CONFIG, row), wanted)


@pytest.mark.parametrize("age", ["inf", "-inf", "old", "1,5"])
def test_numbers_that_the_package_refuses_are_refused(age):
    row = {"age": age, "sex": ""}
    with pytest.raises(InputError, match="no number"):
        METADATA([Example("a", "", "", "", row)])
    with pytest.raises(ValueError, match="no number"):
        standalone.metadata(CONFIG, row)


@pytest.mark.parametrize(
    ("known", "sentence"),
    [
        ("age", "--known age has no value; write age=VALUE"),
        ("agee=50", "the network is not given 'agee'; it is given age, sex"),
        ("age=old", "age is 'old', which is no number"),
    ],
)
def test_what_is_known_wrongly_is_told_in_a_sentence(
    tmp_path, monkeypatch, capsys, known, sentence
):
    program = shutil.copy(standalone.__file__, tmp_path / "predict.py")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    monkeypatch.setattr(sys, "argv", ["predict.py", "--known", known])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(program), run_name="__main__")
    assert stopped.value.code == 2
    told = capsys.readouterr()
    assert sentence in told.err
    assert not told.out
