"""What of photographs is kept, and what their circumstances tell."""

import pathlib

import numpy as np
from PIL import Image

from stochconv_jax.data.dataset.manifest import ManifestRow
from stochconv_jax.data.framing import Framing
from stochconv_jax.data.pipeline.batches import decode
from stochconv_jax.data.preparation.inspection import Inspection, near_pairs
from stochconv_jax.data.preparation.photograph import Photograph
from stochconv_jax.data.preparation.selection import select
from stochconv_jax.data.preparation.shortcuts import shortcut_aucs

SMALL = Framing((8, 8), (8, 8))


def test_the_crop_is_the_centre_of_what_is_large_on_both_sides(tmp_path):
    framing = Framing((50, 50), (1, 1), crop_above=200, crop_to=100)
    for name, size, white in (("large", (300, 260), True), ("long", (300, 150), False)):
        image = Image.new("RGB", size, "black")
        x, y = size[0] // 2, size[1] // 2
        image.paste("white", (x - 50, y - 50, x + 50, y + 50))
        image.save(tmp_path / f"{name}.png")
        framed = decode(framing.encode(tmp_path / f"{name}.png"))
        assert framed.shape == (50, 50, 3)
        assert (framed.mean() > 250) == white


def test_near_pairs_are_those_of_a_plain_count():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (40, 256))
    for number in range(20):
        bits[number + 20] = bits[number]
        bits[number + 20, rng.choice(256, number, replace=False)] ^= 1
    hashes = [np.packbits(row).tobytes().hex() for row in bits]
    found = near_pairs(hashes, 12)
    counts = (bits[:, None] != bits[None]).sum(axis=-1)
    assert sorted(found) == [tuple(p) for p in np.argwhere(np.triu(counts <= 12, 1)).tolist()]
    assert len(found) == 13


def test_the_file_with_most_pixels_is_kept_with_the_latest_label():
    def photograph(source, target, **about):
        return Photograph("x", source, pathlib.Path(source), target, **about)

    def inspection(side, digest):
        return Inspection(side, side, digest, "0" * 64, 0.0)

    rows = select(
        [
            photograph("2017", "0", dx="nv", age="50"),
            photograph("2018", "1", dx="mel", lesion_id="L1"),
            photograph("2019", "", age="51"),
        ],
        {
            pathlib.Path("2017"): inspection(900, "a"),
            pathlib.Path("2018"): inspection(500, "b"),
            pathlib.Path("2019"): inspection(500, "c"),
        },
        SMALL,
        16,
    )
    (kept,) = [row for row in rows if row.kept == "yes"]
    assert (kept.source, kept.width, kept.sha256) == ("2017", "900", "a")
    assert (kept.target, kept.dx, kept.age, kept.lesion_id) == ("1", "mel", "51", "L1")
    assert kept.reason == "target 0 in 2017, 1 in 2018: 1 taken"


def test_shortcuts_are_told_by_their_auc():
    rng = np.random.default_rng(0)
    rows = [
        ManifestRow(
            str(number),
            "one source",
            str(number % 2),
            width=str(round(1000 + 100 * rng.normal() + 300 * (number % 2))),
            height="1000",
            sex="fm"[rng.integers(2)],
        )
        for number in range(400)
    ]
    aucs = shortcut_aucs(rows, {}, ("0", "1"))
    assert aucs["megapixels"][0] > 0.95
    assert aucs["sex"][0] < 0.6
    assert set(aucs) == {"megapixels", "aspect", "sex"}
