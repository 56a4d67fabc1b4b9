"""Predicts photographs with the network beside this file: python predict.py IMAGES.

It needs NumPy and Pillow, and jax and flatbuffers for model.stablehlo or onnxruntime for
model.onnx; neither the package that the network was trained with nor its data.
"""

import argparse
import csv
import hashlib
import io
import json
import math
import pathlib
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

HERE = pathlib.Path(__file__).resolve().parent
FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX")
# What tables write where nothing is known.
UNKNOWN = ("unknown", "nan", "n/a", "none")


def read_config(directory: str | pathlib.Path = HERE) -> dict[str, Any]:
    """Returns what config.json says."""
    return json.loads((pathlib.Path(directory) / "config.json").read_text(encoding="utf-8"))


def frame(encoded: bytes, framing: dict[str, Any]) -> np.ndarray:
    """Crops and resizes the content of an image file: uint8 [height, width, 3] of RGB.

    As the training images were: upright, what is transparent white, the centre square of large
    photographs where the framing says so, Lanczos, and once through JPEG at quality 95.

    Raises:
      ValueError: it is not a whole image of FORMATS and MODES, or too large to be opened safely.
    """
    image = _open(encoded)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    width, height = image.size
    box = (0, 0, width, height)
    if framing["crop_above"] and min(width, height) > framing["crop_above"]:
        side = framing["crop_to"]
        left, top = (width - side) // 2, (height - side) // 2
        box = (left, top, left + side, top + side)
    size = tuple(framing["size"])[::-1]
    image = image.resize(size, Image.Resampling.LANCZOS, box, reducing_gap=3)
    written = io.BytesIO()
    image.save(written, "JPEG", quality=95, subsampling=0)
    return np.asarray(Image.open(written).convert("RGB"))


def image_index(encoded: bytes) -> int:
    """Returns the number from a file's content of which its windows are drawn."""
    return int(hashlib.sha256(encoded).hexdigest()[:8], 16) >> 1


def corners(windows: dict[str, Any], index: int) -> np.ndarray:
    """Returns where the windows of every draw lie: int32 [draws, windows, 2], (row, column).

    Any corners of 0 to `spans` - 1 are windows; these are the ones that the run's own prediction
    draws. The arithmetic is in 32 bits, and overflows on purpose.
    """
    with np.errstate(over="ignore"):
        key = np.array(windows["key"], np.uint32)
        key = _fold(key, index) if windows["per_image"] else key
        draw = _even if windows["placement"] == "even" else _independent
        return np.stack([draw(key, windows, number) for number in range(windows["draws"])])


def metadata(config: dict[str, Any], row: dict[str, str]) -> np.ndarray:
    """Returns the inputs, float32 [M], of what is known: {column: text}, "" where nothing is.

    Raises:
      ValueError: a column is missing, or a number is none.
    """
    values: list[float] = []
    for column, fitted in config["metadata"]["numbers"].items():
        text = _cell(row, column)
        if text:
            values += [(_number(text, column) - fitted["mean"]) / fitted["deviation"], 0]
        else:
            values += [0, 1]
    for column, known in config["metadata"]["categories"].items():
        text = _cell(row, column)
        values += [text == value for value in [*known, ""]]
    return np.array(values, np.float32)


class Network:
    """The program beside this file, called with a dictionary of arrays."""

    def __init__(self, directory: str | pathlib.Path = HERE):
        self.config = read_config(directory)
        path = pathlib.Path(directory) / self.config["file"]
        if path.suffix == ".onnx":
            import onnxruntime

            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            self.call = lambda given: session.run(None, given)[0]
        else:
            import jax
            from jax import export

            program = jax.jit(export.deserialize(bytearray(path.read_bytes())).call)
            names = [given["name"] for given in self.config["inputs"]]
            self.call = lambda given: np.asarray(program(*(given[name] for name in names)))

    def inputs(self, encoded: bytes, row: dict[str, str] | None = None) -> dict[str, Any]:
        """Returns what the program is given of one file's content, by name."""
        made: dict[str, Callable[[], Any]] = {
            "images": lambda: frame(encoded, self.config["framing"]),
            "index": lambda: np.int32(image_index(encoded)),
            "corners": lambda: corners(self.config["windows"], image_index(encoded)),
            "metadata": lambda: metadata(self.config, row or {}),
        }
        return {given["name"]: made[given["name"]]() for given in self.config["inputs"]}

    def logits(self, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        """Returns the logits of N images from their `inputs`: float32 [N, draws, outputs]."""
        return self.call({name: np.stack([row[name] for row in rows]) for name in rows[0]})

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Returns the probability of each class, float64 [N, classes], the mean over the draws."""
        exact = np.asarray(logits, np.float64)
        if exact.shape[-1] == 1:
            exact = np.concatenate([0 * exact, exact], axis=-1)
        powers = np.exp(exact - exact.max(axis=-1, keepdims=True))
        return (powers / powers.sum(axis=-1, keepdims=True)).mean(axis=1)

    def decide(self, probabilities: np.ndarray) -> list[str]:
        """Returns the name of the class that is decided for, of each image."""
        classes = self.config["classes"]
        if len(classes) == 2:
            above = probabilities[:, 1] >= self.config["decision"]["threshold"]
            return [classes[int(each)] for each in above]
        return [classes[place] for place in probabilities.argmax(axis=1)]


def main() -> None:
    """Prints a row for each file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("images", nargs="*", type=pathlib.Path, help="image files")
    parser.add_argument(
        "--known", nargs="*", default=(), metavar="COLUMN=VALUE", help="what a table would say"
    )
    options = parser.parse_args()
    config = read_config()
    sees_pixels = config["framing"] is not None
    if sees_pixels and not options.images:
        parser.error("no image is named; name files")
    try:
        row = _known(config, options.known)
    except ValueError as error:
        parser.error(str(error))
    network = Network()
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["image", *config["classes"], "decision"])
    # A network that reads a table alone is asked of the row.
    for path in options.images if sees_pixels else [None]:
        try:
            given = network.inputs(path.read_bytes() if path else b"", row)
        except (OSError, ValueError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            continue
        found = network.probabilities(network.logits([given]))
        shown = [f"{each:.6g}" for each in found[0]]
        table.writerow([path or "row", *shown, *network.decide(found)])


def _known(config: dict[str, Any], pairs: Sequence[str]) -> dict[str, str]:
    """Returns the row that --known tells, "" for columns that it leaves out.

    Raises:
      ValueError: a pair has no "=", the network is not given its column, or its number is none.
    """
    fitted = config["metadata"] or {"numbers": {}, "categories": {}}
    columns = [*fitted["numbers"], *fitted["categories"]]
    row = dict.fromkeys(columns, "")
    for pair in pairs:
        column, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"--known {pair} has no value; write {pair}=VALUE")
        if column not in row:
            raise ValueError(
                f"--known {pair}: the network is not given {column!r}; "
                f"it is given {', '.join(columns) or 'no table'}"
            )
        row[column] = value
    if config["metadata"]:
        metadata(config, row)  # a number that is none is told before any image is read
    for column, values in fitted["categories"].items():
        if _cell(row, column) not in (*values, ""):
            print(
                f"{column} is {row[column]!r} and of no image that trained: it tells the network "
                f"nothing; values are {', '.join(values)}",
                file=sys.stderr,
            )
    return row


def _cell(row: dict[str, str], column: str) -> str:
    """What a row states of a column, "" where it says that it does not know."""
    if column not in row:
        raise ValueError(f"the row has no column {column!r}, which the network is given")
    text = "" if row[column] is None else str(row[column]).strip()
    return "" if text.lower() in UNKNOWN else text


def _number(text: str, column: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{column} is {text!r}, which is no number; leave it out if not known")
    return value


def _open(encoded: bytes) -> Image.Image:
    """The image of a file's content, upright."""
    if not encoded:
        raise ValueError("the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(encoded), formats=FORMATS)
        if image.mode in MODES:
            return ImageOps.exif_transpose(image)
    except UnidentifiedImageError as error:
        raise ValueError("not an image of " + ", ".join(FORMATS)) from error
    except Image.DecompressionBombError as error:
        raise ValueError("more pixels than can be opened safely; shrink it first") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"damaged: {error}") from error
    raise ValueError(f"{image.mode} pixels; convert it to 8-bit RGB")


def _threefry(key: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Threefry-2x32 with 20 rounds (Salmon et al. 2011): uint32 [..., 2] from uint32 [..., 2]."""
    keys = (key[0], key[1], key[0] ^ key[1] ^ np.uint32(0x1BD11BDA))
    x, y = counts[..., 0] + keys[0], counts[..., 1] + keys[1]
    for group in range(5):
        for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
            x = x + y
            y = (y << np.uint32(turn) | y >> np.uint32(32 - turn)) ^ x
        x = x + keys[(group + 1) % 3]
        y = y + keys[(group + 2) % 3] + np.uint32(group + 1)
    return np.stack([x, y], axis=-1)


def _counts(count: int) -> np.ndarray:
    return np.stack([np.zeros(count, np.uint32), np.arange(count, dtype=np.uint32)], axis=-1)


def _fold(key: np.ndarray, number: int) -> np.ndarray:
    return _threefry(key, np.array([0, number], np.uint32))


def _bits(key: np.ndarray, count: int) -> np.ndarray:
    words = _threefry(key, _counts(count))
    return words[:, 0] ^ words[:, 1]


def _even(key: np.ndarray, windows: dict[str, Any], draw: int) -> np.ndarray:
    """Points of the R2 sequence with the image's own shift; see the package's docs/windows.md."""
    count, which = np.uint32(windows["count"]), np.uint32(draw)
    own = np.arange(count, dtype=np.uint32)
    turn = (which * np.uint32(2654435769) >> np.uint32(16)) * count >> np.uint32(16)
    number = count * which + (own + turn) % count
    steps = np.array([3242174889, 2447445414], np.uint32)
    points = (_bits(key, 2) + number[:, None] * steps).astype(np.uint64)
    return (points * np.array(windows["spans"], np.uint64) >> np.uint64(32)).astype(np.int32)


def _independent(key: np.ndarray, windows: dict[str, Any], draw: int) -> np.ndarray:
    key = _fold(key, draw) if draw else key
    spans = windows["spans"]
    if windows["axes"] == "diagonal":
        longest = max(spans)
        place = _integers(key, windows["count"], np.array([longest]))
        return (place.astype(np.int64) * np.array(spans) // longest).astype(np.int32)
    return _integers(key, windows["count"], np.array(spans)).astype(np.int32)


def _integers(key: np.ndarray, count: int, spans: np.ndarray) -> np.ndarray:
    """Whole numbers below `spans`, uint32 [count, len(spans)], as jax.random.randint draws them."""
    high, low = (_bits(half, count * len(spans)) for half in _threefry(key, _counts(2)))
    span = spans.astype(np.uint32)
    most = np.uint32(65536) % span
    multiplier = most * most % span
    high, low = high.reshape(count, -1) % span, low.reshape(count, -1) % span
    return (high * multiplier + low) % span


if __name__ == "__main__":
    main()
