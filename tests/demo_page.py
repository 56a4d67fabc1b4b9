"""A demo's page without a network behind it: for what is not the networks' own."""

import contextlib
import io
import pathlib
import types

import numpy as np
from demo_client import free_port
from PIL import Image

from stochconv_jax.data.framing import encode_jpeg
from stochconv_jax.demonstration.network import DemoNetwork
from stochconv_jax.demonstration.upload_directory import upload_directory
from stochconv_jax.demonstration.uploaded_image import UploadLimits
from stochconv_jax.feedback.store import FeedbackStore
from stochconv_jax.prediction.predictor import PhotographPrediction


class Guesser:
    """Has the place of a predictor, and says benign."""

    classes, threshold, threshold_note = ("benign", "malignant"), 0.5, "half"
    network = types.SimpleNamespace(
        step=3,
        run=types.SimpleNamespace(
            metadata=None, sees_high=True, directory=pathlib.Path("no images are named here")
        ),
    )

    def predict_each(self, contents, rows):
        for content in contents:
            photograph = types.SimpleNamespace(
                jpeg=encode_jpeg(Image.open(io.BytesIO(content)).convert("RGB"))
            )
            probabilities = np.array([0.75, 0.25])
            logits = np.full((4, 1), -1.1, np.float32)
            yield PhotographPrediction("", logits, probabilities, 0.0, "benign", "", photograph)


def guessing_page(folder, limits=None, examples=()):
    """Returns a page whose answers cost nothing, and its store of flags."""
    from stochconv_jax.demonstration.page import DemoPage

    store = FeedbackStore(folder / "flags.sqlite", create=True)
    network = DemoNetwork("moles", Guesser(), None, 0.25, 0.0)
    return DemoPage([network], store, limits or UploadLimits(), examples), store


@contextlib.contextmanager
def guessing_server(folder, limits=None, examples=(), **options):
    """Serves such a page; yields (address, store, directory of uploads)."""
    from stochconv_jax.demonstration.server import serve

    page, store = guessing_page(folder, limits, examples)
    with (
        upload_directory() as uploads,
        serve(page, "127.0.0.1", free_port(), **{"rate": 1000} | options) as address,
    ):
        yield address, store, uploads
