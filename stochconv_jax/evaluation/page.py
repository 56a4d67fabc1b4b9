"""Self-contained HTML pages from templates."""

import base64
import io
from collections.abc import Callable, Mapping
from typing import Any

import jinja2
from matplotlib.figure import Figure


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
