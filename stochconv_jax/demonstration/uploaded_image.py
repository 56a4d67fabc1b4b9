"""What may be uploaded, judged before a pixel is decoded."""

import dataclasses
import io
import warnings

from PIL import Image

from stochconv_jax.data.image_file import EXTENSIONS
from stochconv_jax.errors import InputError

MEGA = 1_000_000


@dataclasses.dataclass(frozen=True)
class UploadLimits:
    """The largest images that are taken.

    Attributes:
      megabytes: of the file.
      megapixels: of the image.
    """

    megabytes: float = 20
    megapixels: float = 50

    def check(self, content: bytes) -> None:
        """Judges a file by its length and its header.

        Raises:
          InputError: it is too long, has too many pixels, or is no image of a kind that is read.
        """
        if len(content) > self.megabytes * MEGA:
            raise InputError(
                f"the file has {len(content) / MEGA:.1f} megabytes, and {self.megabytes:g} are "
                "allowed; save it smaller"
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                width, height = Image.open(io.BytesIO(content), formats=list(EXTENSIONS)).size
        except Image.DecompressionBombError as error:
            raise InputError(self._too_many("far too many")) from error
        except Exception as error:  # Pillow's readers raise many kinds on damaged headers
            kinds = ", ".join(EXTENSIONS)
            raise InputError(f"the file is no image of these kinds: {kinds}") from error
        if width * height > self.megapixels * MEGA:
            raise InputError(self._too_many(f"{width * height / MEGA:.1f} million"))

    def _too_many(self, count: str) -> str:
        allowed = f"{self.megapixels:g} million are allowed"
        return f"the image has {count} pixels, and {allowed}; shrink it"
