"""What is advised after a look at images, of areas that are made up here."""

import dataclasses
import shlex

import numpy as np
import pytest

from stochconv_jax.command_line import read_flags
from stochconv_jax.config_limits import check_limits
from stochconv_jax.evaluation.estimate import Estimate
from stochconv_jax.probing.advice import WITH_WINDOWS, advise
from stochconv_jax.probing.inputs import INPUTS, Input
from stochconv_jax.probing.measurement import Measurement


def made_up(aucs, error=0.01):
    """Returns a measurement of these areas by input, of independent errors; others are at 0.5."""
    rng = np.random.default_rng(0)
    estimates = {}
    for each in INPUTS:
        influence = rng.normal(0, error / 10, 100)
        estimates[each] = Estimate(aucs.get(each, 0.5), influence)
    return Measurement((512, 768), ("a", "b"), np.arange(100), estimates)


def whole(*aucs):
    return {Input("whole", 2**n, 0): auc for n, auc in enumerate(aucs)}


@pytest.mark.parametrize(
    ("aucs", "error", "said"),
    [
        (whole(0.9, 0.9, 0.9, 0.8) | {WITH_WINDOWS: 0.9}, 0.003, "images of 128x192 will do"),
        (whole(0.9, 0.9, 0.89, 0.8) | {WITH_WINDOWS: 0.9}, 0.02, "cannot rule out that a larger"),
        # Windows ahead of what is enough, but not shown to add to the image that they go with.
        (whole(0.7, 0.7, 0.9, 0.7) | {WITH_WINDOWS: 0.9}, 0.01, "ordinary network"),
        # What windows may add counts among what may be lost.
        (whole(0.9, 0.9, 0.9, 0.8) | {WITH_WINDOWS: 0.92}, 0.01, "windows have up to 0.05"),
        (whole(0.9, 0.9, 0.8) | {WITH_WINDOWS: 0.9}, 0.01, "images of 256x384, which does as well"),
        (whole(0.9, 0.8, 0.7) | {WITH_WINDOWS: 0.9}, 0.01, "images of 512x768, which does as well"),
        (
            whole(0.9, 0.85, 0.7) | {WITH_WINDOWS: 0.76},
            0.01,
            "images of 256x384, which does better",
        ),
        (whole(0.9, 0.8, 0.7) | {WITH_WINDOWS: 0.95}, 0.01, "sees as many pixels, they have +0.05"),
        (
            whole(0.9, 0.8, 0.7) | {WITH_WINDOWS: 0.7},
            0.01,
            "are not shown to bring it back (gain +0",
        ),
        ({}, 0.01, "Nothing that was looked at"),
    ],
)
def test_the_advice_says_what_the_intervals_allow(aucs, error, said):
    assert said in advise(made_up(aucs, error), "folder")[0]


def test_the_command_that_is_advised_is_one_that_training_takes(tmp_path):
    found = dataclasses.replace(
        made_up(whole(0.9, 0.8, 0.7) | {WITH_WINDOWS: 0.9}), size=(301, 450)
    )
    fields = {"label_column": "grade of it", "group_column": "patient"}
    said = advise(found, "folder", fields, (3000, 4500))
    assert said[1] == (
        "Full size here is 301x450; the photographs are larger (median 3000x4500): --size looks at "
        "more."
    )
    assert "EfficientNet-Lite0" in said[2]
    command = said[2][said[2].index("--config=") : said[2].rindex(", and where")]
    config, _ = read_flags(["train.py", *shlex.split(command), f"--workdir={tmp_path}"])
    assert (config.data.high_size, config.data.low_size) == ((300, 450), (74, 112))
    assert (config.data.label_column, config.data.group_column) == ("grade of it", "patient")
    assert config.data.augment.rotation == 0
    assert config.data.augment.crop_area == config.data.augment.crop_aspect == (1, 1)
    check_limits(config)
