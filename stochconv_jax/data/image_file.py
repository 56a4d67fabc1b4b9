"""Opening the image files that people have."""

import io
import pathlib
import warnings

from PIL import Image, ImageOps, UnidentifiedImageError

from stochconv_jax.errors import InputError

EXTENSIONS = {
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
}
_EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX")


def open_image(encoded: bytes, least: int = 0) -> tuple[Image.Image, tuple[int, int], str]:
    """Decodes an image, turns it upright by its EXIF orientation and brings it to RGB.

    Grey images become RGB, and what is transparent becomes white.

    Args:
      encoded: the file's content.
      least: a JPEG may be decoded smaller, to sides of this many pixels or more; 0 for full size.

    Returns:
      The image, its upright (width, height) at full size, and its format.

    Raises:
      InputError: it is not a whole JPEG, PNG, TIFF, BMP or WebP of 8 bits a channel in grey or RGB,
        or it is too large to be opened safely; the message says which, and does not name the file.
    """
    if not encoded:
        raise InputError("the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            file = Image.open(io.BytesIO(encoded), formats=list(EXTENSIONS))
        if file.mode not in _EIGHT_BIT_MODES:
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
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB"), size, form


def misnamed(path: pathlib.Path, form: str) -> str:
    """Returns a remark on a file whose extension is that of another format, else ""."""
    if path.suffix.lower() in EXTENSIONS[form]:
        return ""
    return f"a {form} named {path.suffix or 'without extension'}"


def _looks_like(encoded: bytes) -> str:
    start = encoded[:64].lstrip().lower()
    return " but a web page" if start.startswith((b"<!doctype", b"<html", b"<?xml")) else ""
