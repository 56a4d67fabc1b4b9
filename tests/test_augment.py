import math
import pathlib

import cv2
import numpy as np
import pytest
from PIL import Image

from configs import base
from stochconv_jax.command_line import read_flags
from stochconv_jax.config_limits import check_limits
from stochconv_jax.data.pipeline.augment import Sometimes, transforms_from_config
from stochconv_jax.data.pipeline.color import ColorShift, HsvShift
from stochconv_jax.data.pipeline.corruption import Blur, Cutout, Noise
from stochconv_jax.data.pipeline.shrink import shrink
from stochconv_jax.data.pipeline.views import derive_views
from stochconv_jax.data.pipeline.warp import Crop, Flips, Place, Rotation, Scale, Shift, Warp
from stochconv_jax.errors import InputError

augment = Warp()


def readable_view(image, rng):
    """The default warp written out: what any other way of composing it must equal."""
    height, width = image.shape[:2]
    area = rng.uniform(0.6, 1.0) * height * width
    aspect = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3))) * width / height
    crop = np.minimum([math.sqrt(area * aspect), math.sqrt(area / aspect)], [width, height])
    centre = crop / 2 + rng.uniform(size=2) * ([width, height] - crop)
    angle = rng.uniform(-math.pi, math.pi)
    flips = rng.choice([-1, 1], size=2)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    to_source = np.diag(flips * crop / [width, height]) @ rotation
    offset = centre - 0.5 - to_source @ (np.array([width - 1, height - 1]) / 2)
    return cv2.warpAffine(
        image,
        np.column_stack([to_source, offset]),
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )


@pytest.mark.parametrize("shape", [(64, 64, 3), (48, 80, 3)])
def test_the_default_view_is_the_documented_one(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    (warp,) = transforms_from_config(base.get_config().data.augment)
    assert warp == augment
    for seed in range(50):
        one, other = (np.random.default_rng(seed) for _ in range(2))
        apart = np.abs(warp(image, one).astype(int) - readable_view(image, other))
        # Places counted from another corner, or in other fractions, are rounded otherwise.
        assert apart.max() <= 1
        assert (apart > 0).mean() < 1e-2
        assert one.random() == other.random()


def test_each_part_of_a_warp_works_alone(image):
    seen = {Warp((Flips(),))(image, np.random.default_rng(n)).tobytes() for n in range(40)}
    mirrored = (image, image[::-1], image[:, ::-1], image[::-1, ::-1])
    assert seen == {one.tobytes() for one in mirrored}
    part = Warp((Crop((0.25, 0.25), (1.0, 1.0)),))(image, np.random.default_rng(0))
    assert part.shape == image.shape
    turned = Warp((Rotation(10.0),))(image, np.random.default_rng(0))
    assert np.abs(turned[32, 32].astype(int) - image[32, 32]).max() < 60
    assert (turned != image).any()


def test_a_configs_augmentations_are_those_that_change_anything():
    augment = base.get_config().data.augment
    augment.update(rotation=0.0, hue=0.1, blur=1.0, noise=2.0, cutout=0.3)
    assert transforms_from_config(augment) == (
        Warp((Crop(), Flips())),
        ColorShift(hue=0.1),
        Blur(1.0),
        Noise(2.0),
        Cutout(0.3),
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("crop_area", (0.0, 1.0)),
        ("crop_area", (0.9, 0.6)),
        ("crop_area", (0.6, 1.1)),
        ("crop_aspect", (2.0, 1.0)),
        ("rotation", 181.0),
        ("brightness", 1.0),
        ("hue", 0.6),
        ("blur", -1.0),
        ("shift", 1.0),
        ("randaugment_magnitude", 11.0),
        ("randaugment_weights", "color"),
        ("fancy_pca_axes", "mine"),
        ("hsv_shift", (5.0, 10.0, 256.0)),
    ],
)
def test_an_augmentation_beyond_its_limits_is_refused(field, value):
    config = base.get_config()
    check_limits(config)
    config.data.augment[field] = value
    with pytest.raises(InputError, match=rf"data.augment.{field} is .*; it must be"):
        check_limits(config)


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        (((1.0, "crop", "rotation"),), "leaves out flips, which is asked for"),
        (((1.0, "crop", "rotation", "flips"), (0.5, "flips")), "names 'flips', which stands there"),
        (((1.0, "crop", "rotation", "flips", "noise"),), "changes places and colours"),
        (((1.0, "crop", "rotation", "flips"), (0.0, "noise")), "has the step .0.0, 'noise'."),
        (((1.0, "crop", "rotation", "flips"), (0.5, "sharpness")), "names 'sharpness', which is"),
        ((0.5, "flips"), "has the step 0.5; write steps such as"),
        ((("crop", "flips"),), "has the step .'crop', 'flips'.; write steps such as"),
    ],
)
def test_an_order_that_says_nothing_clear_is_refused(order, sentence):
    config = base.get_config()
    config.data.augment.order = order
    with pytest.raises(InputError, match=sentence):
        check_limits(config)


def mashhadis():
    """The augmentations of Mashhadi 2023, section 3.2."""
    config = base.get_config()
    config.data.update(high_size=(512, 512), crop_size=(416, 416), low_size=(416, 416))
    config.data.augment.update(
        order=(
            (0.5, "hsv_shift"),
            (0.2, "fancy_pca"),
            (1.0, "flips"),
            (0.2, "noise"),
            (0.5, "shift", "scale", "rotation"),
            (0.5, "brightness", "contrast"),
            (1.0, "crop"),
        ),
        hsv_shift=(5.0, 10.0, 5.0),
        fancy_pca=0.1,
        fancy_pca_axes="image",
        noise=math.sqrt(50),
        noise_least=math.sqrt(10),
        shift=0.25,
        scale=0.25,
        rotation=30.0,
        brightness=0.1,
        contrast=0.1,
        crop_area=(1.0, 1.0),
        crop_aspect=(1.0, 1.0),
    )
    check_limits(config)
    return config


def test_a_config_says_seven_augmentations_in_their_order_with_their_probabilities():
    config = mashhadis()
    assert transforms_from_config(config.data.augment, config.data.crop_size) == (
        Sometimes(0.5, (HsvShift((5.0, 10.0, 5.0)),)),
        Sometimes(0.2, (ColorShift(fancy_pca=0.1, fancy_pca_axes="image"),)),
        Warp((Flips(),)),
        Sometimes(0.2, (Noise(math.sqrt(50), math.sqrt(10)),)),
        Warp((Sometimes(0.5, (Shift(0.25), Scale(0.25), Rotation(30.0))),)),
        Sometimes(0.5, (ColorShift(0.1, 0.1, fancy_pca_axes="image"),)),
        Warp((Place((416, 416)),)),
    )


def test_what_is_done_sometimes_is_done_so_often(image):
    done = Sometimes(0.2, (Noise(5.0), Cutout(0.5)))
    rng = np.random.default_rng(0)
    views = [done(image, rng) for _ in range(500)]
    changed = [view for view in views if (view != image).any()]
    assert 70 <= len(changed) <= 130
    assert all((view != image).mean() > 0.5 for view in changed), "all of its parts are done"


@pytest.mark.parametrize("seed", range(5))
def test_shift_scale_and_rotation_are_pillows(seed):
    rough = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    image = cv2.GaussianBlur(rough, (0, 0), 2)
    warp = Warp((Shift(0.1), Scale(0.2), Rotation(30.0)))
    out = warp(image, np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    shift = rng.uniform(-0.1, 0.1, 2) * (80, 60)
    factor, angle = 1 + rng.uniform(-0.2, 0.2), math.radians(rng.uniform(-30, 30))
    linear = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear /= factor
    middle = np.array([40, 30])
    offset = middle + shift - linear @ middle
    affine = np.column_stack([linear, offset]).ravel().tolist()
    expected = Image.fromarray(image).transform(
        (80, 60), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR
    )
    inside = (slice(25, 35), slice(30, 50))
    difference = np.abs(out[inside].astype(int) - np.asarray(expected)[inside])
    assert difference.max() <= 4
    assert np.abs(out[inside].astype(int) - image[inside]).mean() > 2


def test_a_place_moves_by_whole_pixels_to_every_place_where_the_crop_fits():
    image = np.arange(7 * 9, dtype=np.uint8).reshape(7, 9, 1).repeat(3, axis=2)
    rng = np.random.default_rng(0)
    crops = set()
    for _ in range(400):
        views = derive_views(Warp((Place((4, 6)),))(image, rng), (4, 6), None, (4, 6))
        crops.add(views["image_low"][..., 0].tobytes())
    expected = {
        image[top : top + 4, left : left + 6, 0].tobytes() for top in range(4) for left in range(4)
    }
    assert crops == expected


class FixedDraws:
    """A generator whose uniform draws stand where the test puts them."""

    def __init__(self, scale=1.0, angle=0.0, flips=(1, 1)):
        self.scalars = iter([scale, 0.0, angle])
        self.flips = np.array(flips)

    def uniform(self, low=0.0, high=1.0, size=None):
        return np.full(size, 0.5) if size else next(self.scalars)

    def choice(self, options, size):
        return self.flips


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)


def test_the_whole_image_unturned_is_the_image(image):
    np.testing.assert_array_equal(augment(image, FixedDraws()), image)


def test_flips_and_quarter_turns_lose_no_pixel(image):
    np.testing.assert_array_equal(augment(image, FixedDraws(flips=(-1, 1))), image[:, ::-1])
    np.testing.assert_array_equal(augment(image, FixedDraws(flips=(1, -1))), image[::-1])
    turned = augment(image, FixedDraws(angle=np.pi / 2)).astype(int)
    quarter_turns = [np.rot90(image, turns).astype(int) for turns in (1, 3)]
    assert min(np.abs(turned - other).max() for other in quarter_turns) <= 1


def test_a_crop_enlarges_the_middle(image):
    ramp = np.broadcast_to(np.linspace(0, 255, 65)[:64, None, None], (64, 64, 3))
    view = augment(ramp.astype(np.uint8), FixedDraws(scale=0.64)).astype(float)
    slope = np.diff(view[8:56, 32, 0]).mean()
    assert slope == pytest.approx(255 / 64 * 0.8, rel=0.03)
    assert view.mean() == pytest.approx(ramp.mean(), abs=1.5)


def test_a_view_is_a_function_of_the_generators_state(image):
    views = [augment(image, np.random.default_rng((0, seed))) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(views[0], views[1])
    assert (views[0] != views[2]).any()


def test_shrinking_averages_so_that_fine_texture_disappears():
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 200
    small = shrink(stripes, (112, 128))
    assert small.shape == (112, 128, 3)
    assert small.std() < 6
    assert small.mean() == pytest.approx(100, abs=2)


def test_flags_reach_the_augmentations_and_misspelt_ones_are_refused():
    def read(*flags):
        path = pathlib.Path(__file__).parents[1] / "configs" / "b0.py"
        return read_flags(["train.py", f"--config={path}", "--workdir=x", *flags])[0]

    config = read("--config.data.augment.hue=0.1", "--config.data.augment.crop_area=(0.3, 1.0)")
    assert config.data.augment.hue == 0.1
    assert transforms_from_config(config.data.augment)[0].geometry[0] == Crop((0.3, 1.0))
    order = "((1.0, 'crop', 'rotation'), (0.5, 'flips'), (0.5, 'hue'))"
    config = read("--config.data.augment.hue=0.1", f"--config.data.augment.order={order}")
    assert transforms_from_config(config.data.augment) == (
        Warp((Crop(), Rotation(), Sometimes(0.5, (Flips(),)))),
        Sometimes(0.5, (ColorShift(hue=0.1),)),
    )
    with pytest.raises(InputError, match='no field "huee"; did you mean "hue"'):
        read("--config.data.augment.huee=0.1")
    with pytest.raises(InputError, match=r"no field .hue."):
        read("--config.data.hue=0.1")


def test_a_crop_that_no_step_makes_and_noise_from_more_to_less_are_refused():
    config = base.get_config()
    config.data.augment.crop_area = config.data.augment.crop_aspect = (1.0, 1.0)
    config.data.augment.order = ((1.0, "rotation", "flips"),)
    check_limits(config)
    config.data.crop_size = (512, 512)
    with pytest.raises(InputError, match="leaves out crop, which is asked for"):
        check_limits(config)
    config = base.get_config()
    config.data.augment.noise, config.data.augment.noise_least = 2.0, 10.0
    with pytest.raises(InputError, match=r"noise_least is 10\.0, more than"):
        check_limits(config)
