"""Directories as `stochconv feedback export` writes them, of lesions that no run has met."""

import numpy as np
from PIL import Image
from support import write_rows

from stochconv_jax.data.preparation.lesion_drawing import draw_lesion

CLASSES = ("benign", "malignant")


def lesion(number):
    """Returns a lesion of the class CLASSES[number % 2], of 128x128 pixels."""
    rng = np.random.default_rng((77, number))
    return Image.fromarray(draw_lesion(rng, 128, number % 2 == 1))


def write_folder(directory, images, **columns):
    """Writes {name: (content of a file or an image or None, class)} with further columns."""
    (directory / "images").mkdir(parents=True)
    for name, (image, _) in images.items():
        if isinstance(image, bytes):
            (directory / "images" / name).write_bytes(image)
        elif image is not None:
            image.save(directory / "images" / name)
    rows = [
        [f"images/{name}", label, *(column.get(name, "") for column in columns.values())]
        for name, (_, label) in images.items()
    ]
    write_rows(directory / "labels.csv", [["image", "label", *columns], *rows])
    return directory
