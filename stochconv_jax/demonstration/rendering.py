"""Answers as people read them: HTML in which everything is contained."""

import pathlib
from collections.abc import Iterable

from stochconv_jax.data.framing import encode_jpeg
from stochconv_jax.data.image_file import EXTENSIONS, open_image
from stochconv_jax.demonstration.network import Answer, DemoNetwork
from stochconv_jax.demonstration.sessions import REMEMBERED
from stochconv_jax.demonstration.upload_directory import LIFETIME
from stochconv_jax.demonstration.uploaded_image import UploadLimits
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.page import render_page, thumbnail
from stochconv_jax.explanations.picture import TITLES

# Of the longer side of the shown image, and of an example, pixels.
SIDE, EXAMPLE_SIDE = 480, 96
MEANINGS = {
    "grad_cam": "which areas of the whole image spoke for the answer. It is coarse.",
    "integrated_gradients": "which points of the image, seen small, moved the answer, for and "
    "against.",
    "gradient_shap": "the same, measured against black, grey and white images.",
    "occlusion": "how much is lost when a square of the image is covered up.",
    "window_map": "what was found at full detail in the random windows. Hatched: no window fell "
    "there, so that nothing is known. The grey map beside it tells how often each place was "
    "looked at.",
}
PACKAGE = "stochconv_jax.demonstration"


def render_heading(title: str, networks: Iterable[DemoNetwork]) -> str:
    """Returns what stands above everything: what can be asked, and what it is not for."""
    return render_page(PACKAGE, "heading.html.jinja", {}, title=title, networks=[*networks])


def render_small_print(limits: UploadLimits) -> str:
    """Returns what may be uploaded, and what becomes of it."""
    return (
        f'<p class="small">{", ".join(EXTENSIONS)}, up to {limits.megabytes:g} megabytes and '
        f"{limits.megapixels:g} million pixels. An image that you do not flag is never kept: it "
        f"lies on the server's disk for some {LIFETIME:g} seconds and in its memory until "
        f"{REMEMBERED / 60:g} minutes after you last asked. A flag keeps it, with your comment.</p>"
    )


def render_answer(network: DemoNetwork, answer: Answer) -> str:
    """Returns an answer beside its image, and how to read it."""
    assert answer.found.photograph is not None
    probabilities = answer.found.probabilities.tolist()
    return render_page(
        PACKAGE,
        "answer.html.jinja",
        {},
        network=network,
        answer=answer,
        picture=thumbnail(answer.found.photograph.jpeg, SIDE),
        bars=[*zip(network.classes, probabilities, answer.spread.tolist(), strict=True)],
        threshold=network.predictor.threshold if len(network.classes) == 2 else None,
        draws=len(answer.found.logits),
    )


def render_explanations(network: DemoNetwork, answer: Answer) -> str:
    """Returns maps of an image, side by side, and what each means."""
    explainer = network.explainer
    run = explainer.network.run
    return render_page(
        PACKAGE,
        "explanations.html.jinja",
        {},
        answer=answer,
        picture=network.draw_explanations(answer.found),
        legend=[(TITLES[name], MEANINGS[name]) for name in explainer.methods],
        draws=run.config.eval.samples if run.sees_high else 1,
    )


def render_example(path: pathlib.Path) -> str:
    """Returns a small picture of an image file, as HTML.

    Raises:
      InputError: it is no whole image.
    """
    try:
        image = open_image(path.read_bytes(), EXAMPLE_SIDE).image
    except InputError as error:
        raise InputError(f"{path}: {error}; take it out of the examples") from error
    picture = thumbnail(encode_jpeg(image), EXAMPLE_SIDE)
    return f'<img class="example" alt="" src="data:image/jpeg;base64,{picture}">'
