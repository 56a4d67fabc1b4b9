"""Synthetic dermoscopy photographs whose two classes differ in a texture too fine for thumbnails.

The class sets two things only: the spatial period of a fine texture inside the lesion, and
(weakly) how irregular the outline is. All random numbers are drawn in the same order and number
for both classes, so the same seed gives the same photograph but for these two.
"""

import functools

import cv2
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]

# Periods along rows and along columns, in pixels. They are the same at every image size, because
# a thumbnail is a fixed factor (3.5 to 4.6 with a random zoom) smaller than its image.
# The texture is band-pass along both axes, not isotropic: averaging over squares then attenuates
# it twice, to less than 5 % of its amplitude in either class. An isotropic texture also has waves
# along one axis only; about 10 % of it survives as aliasing, enough to tell the classes apart.
BENIGN_PERIOD = 5.5
MALIGNANT_PERIOD = 3.5
RELATIVE_BANDWIDTH = 0.1
KERNEL_SIZE = 15

MIN_SIZE = 128

# Everything smooth is composed on this grid and enlarged: it keeps large images cheap, and makes
# every image size look alike.
GRID_SIZE = 256

LIGHT_SKIN = np.array([236, 196, 178], np.float32)
DARK_SKIN = np.array([150, 106, 82], np.float32)
# Pigment is described by what it lets through per channel, so a lesion is darker than any skin.
LIGHT_PIGMENT = np.array([0.80, 0.66, 0.58], np.float32)
DARK_PIGMENT = np.array([0.46, 0.37, 0.36], np.float32)
INFLAMMATION = np.array([0.2, 1.0, 0.9], np.float32)


def draw_lesion(rng: np.random.Generator, size: int, malignant: bool) -> ByteArray:
    """Draw one photograph of a pigmented lesion on skin, as RGB uint8 [size, size, 3], 0 to 255.

    `size` is at least 128. The image is a function of the state of `rng` and the class: malignant
    lesions have the finer texture and, on average, a slightly more irregular outline.
    """
    if size < MIN_SIZE:
        raise ValueError(f"size must be at least {MIN_SIZE}, got {size}")
    opacity = _lesion_opacity(rng, malignant)
    smooth = _pigmented_skin(rng, opacity) * _illumination(rng)[..., None]
    image = cv2.resize(_to_bytes(smooth), (size, size), interpolation=cv2.INTER_CUBIC)
    detail = _fine_detail(rng, _enlarge(opacity, size), malignant)
    image = cv2.add(image, cv2.merge([detail] * 3), dtype=cv2.CV_8U)
    return _with_hairs(rng, np.asarray(image, np.uint8))


def lesion_mask(rng: np.random.Generator, size: int, malignant: bool) -> npt.NDArray[np.bool_]:
    """Returns where `draw_lesion` of the same arguments has drawn the lesion: bool [size, size]."""
    return _enlarge(_lesion_opacity(rng, malignant), size) > 0.5


def _lesion_opacity(rng: np.random.Generator, malignant: bool) -> FloatArray:
    """Pigment opacity on the grid: 1 inside the lesion, 0 outside, with a soft edge."""
    radius = 0.5 * rng.uniform(0.35, 0.80)
    # A large lesion has less room to be off the centre.
    column, row = 0.5 + rng.uniform(-0.5, 0.5, 2) * (0.5 - radius)
    stretch, edge = rng.uniform(0.85, 1.18), rng.uniform(0.02, 0.06)
    outline = _outline(rng, malignant)
    x, y = _unit_grid()
    dx, dy = (x - column) * stretch, (y - row) / stretch
    angle = np.arctan2(dy, dx)
    bins = np.linspace(-np.pi, np.pi, len(outline))
    boundary = radius * np.interp(angle, bins, outline)
    # A little wobble keeps the border from looking like a clean curve.
    wobble = 0.008 * _smooth_field(rng, 20)
    depth = (boundary - np.hypot(dx, dy) + wobble) / edge
    return np.asarray(1 / (1 + np.exp(-4 * depth)), np.float32)


def _outline(rng: np.random.Generator, malignant: bool) -> FloatArray:
    """Radius over angle from -pi to pi, relative to the mean, as a low-order Fourier series."""
    # Log-normal spread far above the class shift: a weak cue with heavy overlap.
    log_irregularity = rng.normal(0.0, 0.35) + (0.16 if malignant else 0.0)
    order = np.arange(2, 8)
    cosine, sine = rng.standard_normal((2, len(order))) / order
    phases = np.linspace(-np.pi, np.pi, 361)[:, None] * order
    series = np.cos(phases) @ cosine + np.sin(phases) @ sine
    return np.asarray(1 + 0.07 * np.exp(log_irregularity) * series, np.float32)


def _pigmented_skin(rng: np.random.Generator, opacity: FloatArray) -> FloatArray:
    """Colours of evenly lit skin with the lesion on it, RGB on the grid."""
    skin = (LIGHT_SKIN + rng.beta(1.0, 1.6) * (DARK_SKIN - LIGHT_SKIN)) * _tint(rng, 0.025)
    mottle = 1 + 0.02 * _smooth_field(rng, 6) + 0.012 * _smooth_field(rng, 40)
    surroundings = _blurred(opacity)
    pigment = np.clip(_pigment_density(rng, surroundings), 0, 1)[..., None]
    transmission = LIGHT_PIGMENT + pigment * (DARK_PIGMENT - LIGHT_PIGMENT)
    transmission = transmission * _tint(rng, 0.025)
    # Inflamed skin around a lesion loses green and blue.
    halo = surroundings[..., None] * (rng.uniform(0.0, 0.12) * INFLAMMATION).astype(np.float32)
    absorbed = opacity[..., None] * (1 - transmission)
    return np.asarray(skin * mottle[..., None] * (1 - halo) * (1 - absorbed), np.float32)


def _pigment_density(rng: np.random.Generator, surroundings: FloatArray) -> FloatArray:
    """Pigment density on the grid, about 0 to 1, in coarse blotches."""
    coarse, fine = _smooth_field(rng, 5), _smooth_field(rng, 14)
    mean, spread = rng.uniform(0.3, 0.75), rng.uniform(0.08, 0.25)
    centre = rng.uniform(-0.3, 0.5) * (surroundings - 0.7)
    density = mean + spread * (coarse + 0.6 * fine) + centre
    return np.asarray(density, np.float32)


def _illumination(rng: np.random.Generator) -> FloatArray:
    """Relative brightness on the grid: exposure, uneven light and, at times, vignetting."""
    x, y = _unit_grid()
    tilt_x, tilt_y = rng.normal(0.0, 0.06, 2)
    light = rng.uniform(0.88, 1.05) * (1 + tilt_x * (x - 0.5) + tilt_y * (y - 0.5))
    light = light.astype(np.float32) * (1 + 0.02 * _smooth_field(rng, 3))
    vignetted, strength = rng.random() < 0.4, rng.uniform(0.15, 0.5)
    falloff = np.clip(np.hypot(x - 0.5, y - 0.5) / 0.7, 0, 1) ** 4
    return np.asarray(light * (1 - vignetted * strength * falloff), np.float32)


def _fine_detail(rng: np.random.Generator, opacity: FloatArray, malignant: bool) -> FloatArray:
    """Zero-mean luminance detail in grey levels: class texture, speckle and sensor noise."""
    size = len(opacity)
    contrast, speckle_inside, speckle_outside = rng.uniform([8, 3, 0.8], [14, 7, 2.5])
    noise = rng.integers(0, 256, (size, size), np.uint8)
    kernel = _band_pass_kernel(MALIGNANT_PERIOD if malignant else BENIGN_PERIOD)
    texture = cv2.sepFilter2D(noise, cv2.CV_32F, kernel, kernel)
    # Squared, so that no texture shows on the skin side of the soft edge.
    detail = texture * (np.float32(contrast) * opacity * opacity)
    # Broadband in the thumbnail, and the same in both classes: what little of the texture
    # survives the reduction drowns in it.
    speckle = rng.standard_normal((size // 3, size // 3), np.float32)
    speckle_contrast = speckle_outside + opacity * (speckle_inside - speckle_outside)
    detail += _enlarge(speckle, size) * speckle_contrast.astype(np.float32)
    sensor = rng.standard_normal((size, size), np.float32)
    return np.asarray(detail + sensor * np.float32(rng.uniform(0.8, 2.0)), np.float32)


@functools.cache
def _band_pass_kernel(period: float) -> FloatArray:
    """Filter for both axes that turns uniform random bytes into band-pass noise of deviation 1."""
    offset = np.arange(KERNEL_SIZE) - KERNEL_SIZE // 2
    spread = period / (2 * np.pi * RELATIVE_BANDWIDTH)
    window = np.hanning(KERNEL_SIZE + 2)[1:-1]
    kernel = np.cos(2 * np.pi * offset / period) * np.exp(-0.5 * (offset / spread) ** 2) * window
    # The cut leaves a small response to constants, which would be a class-dependent brightness.
    kernel -= window * kernel.sum() / window.sum()
    byte_deviation = np.sqrt((256**2 - 1) / 12)
    # Applied twice, once along each axis, so each time with the root of the scale.
    return np.asarray(kernel / (np.linalg.norm(kernel) * np.sqrt(byte_deviation)), np.float32)


def _with_hairs(rng: np.random.Generator, image: ByteArray) -> ByteArray:
    """Lay 0 to 12 curved, slightly translucent hairs over the image."""
    size, shift = len(image), 4
    overlay = image.copy()
    count, opacity = rng.integers(0, 13), rng.uniform(0.55, 0.9)
    light = rng.random() < 0.2
    t = np.linspace(0, 1, 24)[:, None]
    for _ in range(count):
        start, direction = rng.uniform(0, 1, 2), rng.uniform(0, 2 * np.pi)
        along = np.array([np.cos(direction), np.sin(direction)]) * rng.uniform(0.25, 0.9)
        across = np.array([-along[1], along[0]]) * rng.normal(0, 0.2)
        curve = start + t * along + 4 * t * (1 - t) * across
        points = np.round(curve * size * 2**shift).astype(np.int32)
        shade = rng.uniform(190, 235) if light else rng.uniform(25, 75)
        colour = shade * np.array([1.0, 0.9, 0.82])
        width = max(1, round(size * rng.uniform(0.001, 0.0045)))
        cv2.polylines(overlay, [points], False, colour.tolist(), width, cv2.LINE_AA, shift)
    return np.asarray(cv2.addWeighted(overlay, opacity, image, 1 - opacity, 0), np.uint8)


def _smooth_field(rng: np.random.Generator, cells: int) -> FloatArray:
    """Random field on the grid with about `cells` bumps along a side, near unit deviation."""
    coarse = rng.standard_normal((cells + 2, cells + 2), np.float32)
    return _enlarge(coarse, GRID_SIZE)


def _enlarge(field: FloatArray, size: int) -> FloatArray:
    enlarged = cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.asarray(enlarged, np.float32)


def _blurred(opacity: FloatArray) -> FloatArray:
    # A wide blur is far cheaper on few pixels.
    small = cv2.resize(opacity, (32, 32), interpolation=cv2.INTER_AREA)
    return _enlarge(np.asarray(cv2.GaussianBlur(small, (0, 0), 2), np.float32), GRID_SIZE)


def _tint(rng: np.random.Generator, deviation: float) -> FloatArray:
    return 1 + np.float32(deviation) * rng.standard_normal(3, np.float32)


def _to_bytes(image: FloatArray) -> ByteArray:
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


@functools.cache
def _unit_grid() -> tuple[FloatArray, FloatArray]:
    """Column and row coordinates of the grid, from 0 to 1."""
    axis = (np.arange(GRID_SIZE, dtype=np.float32) + 0.5) / GRID_SIZE
    column, row = np.meshgrid(axis, axis)
    return column.astype(np.float32), row.astype(np.float32)
