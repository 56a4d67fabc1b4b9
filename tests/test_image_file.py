import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from stochconv_jax.data.image_file import EXTENSIONS, open_image
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
    image, size, found, _ = open_image(encoded(noise(), form, **lossless))
    assert (image.mode, image.size, size, found) == ("RGB", (90, 60), (90, 60), form)
    if form != "JPEG":
        np.testing.assert_array_equal(image, noise())


@pytest.mark.parametrize("least", [0, 32])
def test_photographs_are_turned_upright(least):
    pixels = np.zeros((200, 300, 3), np.uint8)
    pixels[:, :100] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    image, size, *_ = open_image(
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


def smooth(height=60, width=90):
    return noise(height, width).resize((6, 4)).resize((width, height), Image.Resampling.BICUBIC)


def ink_profile():
    """The smallest ICC profile of four inks: the fourth is black, and the others leave no trace."""
    ramp = bytes(range(256))
    identity = b"".join(struct.pack(">i", 65536 * (n % 4 == 0)) for n in range(9))
    lightness = [bytes((0 if corner % 2 else 255, 128, 128)) for corner in range(16)]
    table = struct.pack(">4s4x4B", b"mft1", 4, 3, 2, 0) + identity
    table += ramp * 4 + b"".join(lightness) + ramp * 3
    tags = struct.pack(">I4sII", 1, b"A2B0", 144, len(table))
    kind = (b"test", 0x02400000, b"prtr", b"CMYK", b"Lab ", b"acsp")
    header = struct.pack(">I4sI4s4s4s12x4s", 144 + len(table), *kind)
    white = struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    return header.ljust(68, b"\0") + white.ljust(60, b"\0") + tags + table


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
@pytest.mark.parametrize("least", [0, 32])
def test_cmyk_becomes_rgb_and_is_told(form, least):
    quality = {"quality": 95} if form == "JPEG" else {}
    opened = open_image(encoded(smooth().convert("CMYK"), form, **quality), least)
    assert (opened.image.mode, opened.size) == ("RGB", (90, 60))
    assert opened.remark == "converted from CMYK"
    difference = np.asarray(opened.image.resize((90, 60)), int) - np.asarray(smooth(), int)
    assert np.abs(difference).mean() < 3


def test_cmyk_with_a_colour_profile_becomes_what_the_profile_says():
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 128))
    plain = open_image(encoded(image, "TIFF"))
    profiled = open_image(encoded(image, "TIFF", icc_profile=ink_profile()))
    damaged = open_image(encoded(image, "TIFF", icc_profile=b"no profile"))
    np.testing.assert_array_equal(damaged.image, plain.image)
    assert profiled.image.mode == "RGB"
    assert profiled.remark == "converted from CMYK"
    assert np.ptp(np.asarray(profiled.image, int)) <= 1  # grey, and not cyan
    assert np.asarray(plain.image).min() < 10
    assert profiled.image.getpixel((0, 0))[0] == pytest.approx(119, abs=3)  # L* = 50


@pytest.mark.parametrize(
    ("mode", "form"), [("I;16", "PNG"), ("I;16", "TIFF"), ("I;16B", "TIFF"), ("I", "TIFF")]
)
@pytest.mark.parametrize("least", [0, 32])
def test_sixteen_bits_of_grey_keep_their_whole_range(mode, form, least):
    grey = np.array([[0, 128, 257, 4000, 32768, 65535]], ">u2" if mode == "I;16B" else "<u2")
    image = (
        Image.fromarray(grey.astype(np.int32))
        if mode == "I"
        else Image.frombytes(mode, grey.shape[::-1], grey.tobytes())
    )
    opened = open_image(encoded(image, form), least)
    expected = np.rint(grey.astype(float) / 257)
    for channel in range(3):
        np.testing.assert_array_equal(np.asarray(opened.image)[..., channel], expected)
    assert opened.remark == "converted from 16-bit grey"


def claiming(form, size):
    """A small file of a format whose header claims to hold size x size pixels."""
    whole = bytearray(encoded(Image.new("RGB", (8, 8)), form))
    long = struct.pack("<I", size)
    if form == "PNG":
        whole[16:24] = struct.pack(">II", size, size)
        whole[29:33] = struct.pack(">I", zlib.crc32(whole[12:29]))
    elif form == "BMP":
        whole[18:26] = long + long
    elif form == "JPEG":
        header = whole.index(b"\xff\xc0")
        whole[header + 5 : header + 9] = struct.pack(">HH", size, size)
    elif form == "TIFF":
        for tag in (256, 257):
            entry = whole.index(struct.pack("<H", tag), 8)
            whole[entry + 8 : entry + 12] = long
    elif form == "WEBP":
        # The canvas of an animation of one frame, which is what Pillow makes room for.
        canvas = long[:3]
        frame = bytes(whole[12:])
        extended = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + canvas + canvas
        animation = b"ANIM" + struct.pack("<I", 6) + bytes(6)
        part = b"ANMF" + struct.pack("<I", 16 + len(frame)) + bytes(6) + b"\x07\0\0\x07\0\0"
        body = b"WEBP" + extended + animation + part + bytes(4) + frame
        whole = b"RIFF" + struct.pack("<I", len(body)) + body
    return bytes(whole)


@pytest.mark.parametrize("form", EXTENSIONS)
def test_what_a_header_claims_is_judged_before_anything_is_decoded(form):
    with pytest.raises(InputError, match="more pixels than can be opened safely"):
        open_image(claiming(form, 16_383))


def png_with(kind, content):
    """A PNG with another chunk behind its header."""
    whole = encoded(Image.new("RGB", (8, 8)))
    body = kind + content
    chunk = struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
    return whole[:33] + chunk + whole[33:]


@pytest.mark.parametrize(
    "chunk",
    [
        (b"zTXt", b"text\0\0" + zlib.compress(bytes(50_000_000))),
        (b"iTXt", b"text\0\1\0\0\0" + zlib.compress(bytes(50_000_000))),
        (b"iCCP", b"profile\0\0" + zlib.compress(bytes(50_000_000))),
    ],
    ids=lambda chunk: chunk[0].decode(),
)
def test_what_stands_beside_the_pixels_is_not_unpacked_without_end(chunk):
    with pytest.raises(InputError, match="damaged: Decompressed data too large"):
        open_image(png_with(*chunk))


BAD_FILES = {
    "empty": (lambda: b"", "the file is empty"),
    "web page": (lambda: b"<!DOCTYPE html><html>404</html>", "not an image but a web page"),
    "text": (lambda: b"hello", "not an image$"),
    "truncated": (lambda: encoded(noise(), "JPEG")[:2000], "damaged: .*truncated"),
    "lightness": (lambda: encoded(Image.new("LAB", (8, 8)), "TIFF"), "LAB pixels; convert it"),
    "32 bits": (lambda: encoded(Image.new("I", (8, 8), 70_000), "TIFF"), "beyond 65535"),
    "bomb": (lambda: claiming("PNG", 20_000), "more pixels than can be opened safely"),
}


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("least", [0, 32])
def test_what_cannot_be_used_is_said(name, least):
    content, message = BAD_FILES[name]
    with pytest.raises(InputError, match=message):
        open_image(content(), least)
