"""What of a photograph is kept, and at which size."""

import dataclasses
import io
import pathlib
from collections.abc import Mapping
from typing import Any

from PIL import Image

from stochconv_jax.atomic_write import atomic_write
from stochconv_jax.data.image_file import open_image
from stochconv_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Framing:
    """Centre crop and size of prepared images.

    Attributes:
      size: (height, width) to which images are resized with antialiasing, whatever their shape.
      minimum: (height, width); smaller images are left out.
      crop_above: images larger than this on both sides are cropped, pixels; 0 for none.
      crop_to: side of the square that is then kept around the centre, pixels.
    """

    size: tuple[int, int]
    minimum: tuple[int, int]
    crop_above: int = 0
    crop_to: int = 0

    @property
    def name(self) -> str:
        """Returns what distinguishes images so framed, as a name of a directory."""
        crop = f"_crop{self.crop_to}above{self.crop_above}" if self.crop_above else ""
        return f"{self.size[0]}x{self.size[1]}{crop}"

    def too_small(self, width: int, height: int) -> bool:
        """Returns whether an image of this size is left out."""
        return height < self.minimum[0] or width < self.minimum[1]

    def frame(self, encoded: bytes) -> bytes:
        """Returns the image of a file's content as it is prepared, a JPEG.

        Raises:
          InputError: it is not a whole image; the message does not name the file.
        """
        image, (width, height), *_ = open_image(encoded)
        box = (0, 0, width, height)
        if self.crop_above and min(width, height) > self.crop_above:
            left, top = (width - self.crop_to) // 2, (height - self.crop_to) // 2
            box = (left, top, left + self.crop_to, top + self.crop_to)
        framed = image.resize(self.size[::-1], Image.Resampling.LANCZOS, box, reducing_gap=3)
        return encode_jpeg(framed)

    def encode(self, path: pathlib.Path) -> bytes:
        """Returns the image of a file as it is prepared, a JPEG.

        Raises:
          InputError: the file is not a whole image.
        """
        try:
            return self.frame(path.read_bytes())
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON knows them: sizes are lists."""
        return {
            "size": list(self.size),
            "minimum": list(self.minimum),
            "crop_above": self.crop_above,
            "crop_to": self.crop_to,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Framing":
        """Returns the framing of which `to_json` gave the fields.

        Raises:
          InputError: they are not those of one.
        """
        try:
            (height, width), (least_height, least_width) = fields["size"], fields["minimum"]
            crop = fields["crop_above"], fields["crop_to"]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"the framing is damaged ({error!r})") from error
        sides = (height, width, least_height, least_width)
        if (
            not all(type(each) is int for each in (*sides, *crop))
            or min(sides) < 1
            or min(crop) < 0
        ):
            raise InputError("the framing is damaged: its sizes must be whole numbers")
        return cls((height, width), (least_height, least_width), *crop)


def encode_jpeg(image: Image.Image) -> bytes:
    """Encodes an image as a JPEG that keeps fine colour (quality 95, no subsampling)."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def encode_to(path: pathlib.Path, framing: Framing, destination: pathlib.Path) -> pathlib.Path:
    """Writes a framed image, whole or not at all, unless that is done; returns where.

    Raises:
      InputError: the file is not a whole image.
    """
    if not destination.exists():
        atomic_write(destination, framing.encode(path))
    return destination
