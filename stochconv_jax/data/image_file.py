"""Opening the image files that people have."""

import io
import itertools
import pathlib
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from stochconv_jax.errors import InputError

EXTENSIONS = {
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
}
_SUFFIXES = frozenset(itertools.chain.from_iterable(EXTENSIONS.values()))
_EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX")
# Grey of 16 bits; "I" has 32, of which some formats use 16.
_DEEP_MODES = ("I;16", "I;16L", "I;16B", "I")


def find_images(named: Sequence[pathlib.Path]) -> list[pathlib.Path]:
    """Returns files as given, and those of directories that are called like images, in order.

    Raises:
      InputError: a directory holds none.
    """
    paths: list[pathlib.Path] = []
    for path in named:
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES)
            if not found:
                raise InputError(f"{path} holds no image; name files or directories that do")
            paths += found
        else:
            paths.append(path)
    return list(dict.fromkeys(paths))


class OpenedImage(NamedTuple):
    """An image file as it was found.

    Attributes:
      image: upright, RGB of 8 bits.
      size: (width, height) of the upright image at full size.
      format: such as "JPEG".
      remark: what its pixels were converted from, or "".
    """

    image: Image.Image
    size: tuple[int, int]
    format: str
    remark: str


def open_image(encoded: bytes, least: int = 0) -> OpenedImage:
    """Decodes an image, turns it upright by its EXIF orientation and brings it to 8-bit RGB.

    Grey becomes RGB, what is transparent white, CMYK what its colour profile says (Pillow's
    conversion where it has none), and 16-bit grey 0 to 65535 becomes 0 to 255.

    Args:
      encoded: the file's content.
      least: a JPEG may be decoded smaller, to sides of this many pixels or more; 0 for full size.

    Raises:
      InputError: it is not a whole JPEG, PNG, TIFF, BMP or WebP in grey, RGB or CMYK, or it is too
        large to be opened safely; the message says which, and does not name the file.
    """
    if not encoded:
        raise InputError("the file is empty")
    try:
        # What Pillow warns of ends in an error, or is in what surrounds the pixels.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file = Image.open(io.BytesIO(encoded), formats=list(EXTENSIONS))
            if file.mode not in (*_EIGHT_BIT_MODES, *_DEEP_MODES, "CMYK"):
                raise InputError(f"{file.mode} pixels; convert it to 8-bit RGB")
            form, size = str(file.format), file.size
            if least:
                file.draft("RGB", (least, least))
            drafted = file.size
            image = ImageOps.exif_transpose(file)
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError(f"not an image{_looks_like(encoded)}") from error
    except Image.DecompressionBombError as error:
        raise InputError("more pixels than can be opened safely; shrink it first") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"damaged: {error}") from error
    if image.size != drafted:
        size = size[::-1]
    image, remark = _eight_bit(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return OpenedImage(image.convert("RGB"), size, form, remark)


def _eight_bit(image: Image.Image) -> tuple[Image.Image, str]:
    """Returns an image of 8 bits per channel, and what it was converted from, or ""."""
    if image.mode == "CMYK":
        return _cmyk_to_rgb(image), "converted from CMYK"
    if image.mode not in _DEEP_MODES:
        return image, ""
    grey = np.asarray(image).astype(np.int64)
    if grey.min() < 0 or grey.max() > 65535:
        raise InputError("32-bit pixels below 0 or beyond 65535; save it with 16 bits or fewer")
    return Image.fromarray(np.rint(grey / 257).astype(np.uint8)), "converted from 16-bit grey"


def _cmyk_to_rgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if profile:
        try:
            inks = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            screen = ImageCms.createProfile("sRGB")
            found = ImageCms.profileToProfile(image, inks, screen, outputMode="RGB")
            if found is not None:
                return found
        except (ImageCms.PyCMSError, OSError):
            pass  # a profile that cannot be used says no more than none
    return image.convert("RGB")


def misnamed(path: pathlib.Path, form: str) -> str:
    """Returns a remark on a file whose extension is that of another format, else ""."""
    if path.suffix.lower() in EXTENSIONS[form]:
        return ""
    return f"a {form} named {path.suffix or 'without extension'}"


def _looks_like(encoded: bytes) -> str:
    start = encoded[:64].lstrip().lower()
    return " but a web page" if start.startswith((b"<!doctype", b"<html", b"<?xml")) else ""
