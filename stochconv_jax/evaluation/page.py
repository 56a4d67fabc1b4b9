"""Self-contained HTML pages from templates, and the pictures in them."""

import base64
import io
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import jinja2
from matplotlib.figure import Figure

from stochconv_jax.data.pipeline.batches import decode


def render_page(
    package: str, template: str, filters: Mapping[str, Callable[..., str]], **values: Any
) -> str:
    """Returns the page of a template that lies in `package`; every name in it must be given."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package, "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(template).render(**values)


def as_png(figure: Figure) -> str:
    """Returns a figure as a PNG in base64."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110, format="png")
    return base64.b64encode(buffer.getvalue()).decode()


def thumbnail(jpeg: bytes, side: int) -> str:
    """Returns a JPEG in base64 whose longer side has `side` pixels."""
    image = decode(jpeg)
    scale = side / max(image.shape[:2])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    return base64.b64encode(encoded.tobytes()).decode()
