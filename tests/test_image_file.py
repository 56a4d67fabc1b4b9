import io

import numpy as np
import pytest
from PIL import Image

from stochconv_jax.data.image_file import open_image
from stochconv_jax.errors import InputError


def encoded(image, form="PNG", **arguments):
    buffer = io.BytesIO()
    image.save(buffer, form, **arguments)
    return buffer.getvalue()


def noise(height=60, width=90):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "WEBP", "JPEG"])
def test_common_formats_are_read(form):
    lossless = {"lossless": True} if form == "WEBP" else {}
    image, size, found = open_image(encoded(noise(), form, **lossless))
    assert (image.mode, image.size, size, found) == ("RGB", (90, 60), (90, 60), form)
    if form != "JPEG":
        np.testing.assert_array_equal(image, noise())


@pytest.mark.parametrize("least", [0, 32])
def test_photographs_are_turned_upright(least):
    pixels = np.zeros((200, 300, 3), np.uint8)
    pixels[:, :100] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    image, size, _ = open_image(
        encoded(Image.fromarray(pixels), "JPEG", exif=exif, quality=95), least
    )
    assert size == (200, 300)
    upright = np.asarray(image.resize((20, 30)))
    assert upright[:8].mean() > 240
    assert upright[12:].mean() < 15
    assert (image.width < 200) == bool(least)


def test_grey_and_transparent_images_become_rgb():
    assert (np.asarray(open_image(encoded(Image.new("L", (8, 8), 77)))[0]) == 77).all()
    clear = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    assert (np.asarray(open_image(encoded(clear))[0]) == 255).all()


def bomb():
    """A PNG that says it has 20,000 by 20,000 pixels."""
    whole = encoded(Image.new("1", (20_000, 20_000)))
    assert len(whole) < 100_000
    return whole


BAD_FILES = {
    "empty": (lambda: b"", "the file is empty"),
    "web page": (lambda: b"<!DOCTYPE html><html>404</html>", "not an image but a web page"),
    "text": (lambda: b"hello", "not an image$"),
    "truncated": (lambda: encoded(noise(), "JPEG")[:2000], "damaged: .*truncated"),
    "CMYK": (lambda: encoded(noise().convert("CMYK"), "JPEG"), "CMYK pixels; convert it"),
    "deep": (lambda: encoded(Image.new("I;16", (8, 8), 4000)), "I;16 pixels; convert it"),
    "bomb": (bomb, "more pixels than can be opened safely"),
}


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("least", [0, 32])
def test_what_cannot_be_used_is_said(name, least):
    content, message = BAD_FILES[name]
    with pytest.raises(InputError, match=message):
        open_image(content(), least)
