"""What is advised after a look at images, of areas that are made up here."""

import shlex

import numpy as np
import pytest

from stochconv_jax.command_line import read_flags
from stochconv_jax.config_limits import check_limits
from stochconv_jax.data.preparation.command import make_parser
from stochconv_jax.evaluation.estimate import Estimate
from stochconv_jax.probing.advice import WITH_WINDOWS, advise, windows_are_advised
from stochconv_jax.probing.inputs import INPUTS, Input
from stochconv_jax.probing.measurement import Measurement
from stochconv_jax.probing.recipe import training_commands


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
    assert said in advise(made_up(aucs, error))[0]


@pytest.mark.parametrize("verb", ["folder", "prepared"])
def test_the_commands_that_are_advised_are_ones_that_programs_take(verb, tmp_path):
    columns = {"label_column": "grade of it"}
    commands = training_commands((301, 450), verb, "my images", columns)
    programs = [shlex.split(command)[1:] for command in commands]
    prepare = [
        program[2:] for program in programs if program[:2] == ["-m", "stochconv_jax.prepare"]
    ]
    train = [program for program in programs if program[0] == "train.py"]
    assert (len(prepare), len(train), len(programs)) == (verb == "folder", 2, 5 + len(prepare))
    if prepare:
        options = make_parser().parse_args(prepare[0])
        assert (options.source, options.label_column) == ("my images", "grade of it")
        # The probe looked at small images and at look-alikes.
        assert (options.near_duplicate_distance, options.minimum_size) == (-1, (1, 1))
    configs = [read_flags(each)[0] for each in train]
    for config in configs:
        assert (config.data.high_size, config.data.low_size) == ((300, 450), (74, 112))
        assert config.data.directory == ("prepared/mine" if prepare else "my images")
        assert config.data.augment.rotation == 0
        assert config.data.augment.crop_area == config.data.augment.crop_aspect == (1, 1)
        check_limits(config)
    assert configs[0].model.branches == ("global", "stochastic")
    assert configs[1].model.branches == ("global", "global")


def test_larger_photographs_are_told():
    found = made_up(whole(0.9, 0.8, 0.7) | {WITH_WINDOWS: 0.9})
    assert (
        "Full size here is 512x768; the photographs are larger (median 3000x4500): --size looks at "
        "more."
    ) in advise(found, (3000, 4500))
    assert windows_are_advised(found)
    assert not windows_are_advised(made_up(whole(0.9, 0.9, 0.9, 0.8) | {WITH_WINDOWS: 0.9}))
