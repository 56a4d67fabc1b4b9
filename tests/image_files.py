"""Image files of every kind that people have, whole and as accidents leave them."""

import io
import random

import numpy as np
from mutations import mutate_bytes
from PIL import Image

# Of a name as an extension: what is written, in which of Pillow's modes and with which options.
KINDS = {
    "rgb.jpg": ("JPEG", "RGB", {}),
    "grey.jpg": ("JPEG", "L", {}),
    "cmyk.jpg": ("JPEG", "CMYK", {}),
    "progressive.jpeg": ("JPEG", "RGB", {"progressive": True, "quality": 30}),
    "rgb.png": ("PNG", "RGB", {}),
    "one_bit.png": ("PNG", "1", {}),
    "sixteen_bit.png": ("PNG", "I;16", {}),
    "alpha.png": ("PNG", "RGBA", {}),
    "grey_alpha.png": ("PNG", "LA", {}),
    "palette.png": ("PNG", "P", {"transparency": 0}),
    "animated.png": ("PNG", "RGB", {"save_all": True, "append_images": 2}),
    "rgb.tif": ("TIFF", "RGB", {}),
    "one_bit.tif": ("TIFF", "1", {"compression": "group4"}),
    "sixteen_bit.tiff": ("TIFF", "I;16", {}),
    "thirty_two_bit.tif": ("TIFF", "I", {}),
    "float.tif": ("TIFF", "F", {}),
    "cmyk.tif": ("TIFF", "CMYK", {"compression": "tiff_lzw"}),
    "deflated.tif": ("TIFF", "RGB", {"compression": "tiff_adobe_deflate"}),
    "jpeg.tif": ("TIFF", "RGB", {"compression": "jpeg"}),
    "pages.tif": ("TIFF", "RGB", {"save_all": True, "append_images": 2}),
    "lab.tif": ("TIFF", "LAB", {}),
    "rgb.bmp": ("BMP", "RGB", {}),
    "one_bit.bmp": ("BMP", "1", {}),
    "palette.bmp": ("BMP", "P", {}),
    "rgb.webp": ("WEBP", "RGB", {}),
    "alpha.webp": ("WEBP", "RGBA", {"lossless": True}),
    "animated.webp": ("WEBP", "RGB", {"save_all": True, "append_images": 2}),
    "rgb.gif": ("GIF", "P", {}),
}
# Pillow reads these, and we refuse them, with the sentence that says so.
REFUSED = {"float.tif": "F pixels", "lab.tif": "LAB pixels", "rgb.gif": "not an image"}
SIZES = ((24, 20), (24, 20), (24, 20), (1, 1), (1, 300), (300, 1))


def image_file(kind: str, rng: random.Random) -> bytes:
    """Returns a whole file; some are one pixel wide or high, and some carry an orientation."""
    form, mode, options = KINDS[kind]
    noise = np.random.default_rng(rng.randrange(2**32))
    frames = [_image(mode, rng.choice(SIZES), noise)]
    if "append_images" in options:
        more = [_image(mode, frames[0].size, noise) for _ in range(options["append_images"])]
        options = options | {"append_images": more}
    if form in ("JPEG", "PNG", "WEBP") and rng.randrange(2):
        exif = Image.Exif()
        exif[0x0112] = rng.randrange(1, 9)
        options = options | {"exif": exif}
    written = io.BytesIO()
    frames[0].save(written, form, **options)
    return written.getvalue()


def _image(mode: str, size: tuple[int, int], noise: np.random.Generator) -> Image.Image:
    width, height = size
    if mode == "I;16":
        return Image.fromarray(noise.integers(0, 2**16, (height, width)).astype(np.uint16))
    image = Image.fromarray(noise.integers(0, 256, (height, width, 3)).astype(np.uint8))
    return image.convert("RGB" if mode == "LAB" else mode) if mode != "LAB" else _lab(image)


def _lab(image: Image.Image) -> Image.Image:
    return Image.merge("LAB", image.split())


def damaged_file(kind: str, rng: random.Random) -> bytes:
    """Returns a file of a kind that was damaged: bytes, its header, or the whole of it."""
    content = image_file(kind, rng)
    accident = rng.randrange(8)
    if accident == 0:
        other = image_file(rng.choice(list(KINDS)), rng)
        return other[:16] + content[16:]
    if accident == 1:
        return rng.choice([b"", bytes(100), content[:1], b"<!doctype html><p>404", b"\xff\xd8\xff"])
    return mutate_bytes(content, rng)
