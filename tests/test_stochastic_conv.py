import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from four_devices import assert_gradients_equal_one_devices
from support import noise

from benchmarks.readable_stochastic_conv import readable_stochastic_conv
from stochconv_jax.ops import (
    image_size_of,
    images_from_planes,
    planes_shape,
    polyphase,
    sample_windows,
    stochastic_conv,
    stochastic_conv_polyphase,
    window_size,
)
from stochconv_jax.ops.method import portable_forms
from stochconv_jax.ops.native import is_built, xla_alone


def naive_stochastic_conv(images, kernel, corners, output_size, strides):
    """Four nested loops in NumPy, for the readable form itself."""
    kernel_height, kernel_width, _, kernels = kernel.shape
    out = np.zeros((len(images), *output_size, kernels))
    for b, k, y, x in np.ndindex(len(images), kernels, *output_size):
        row, column = corners[b, k // (kernels // corners.shape[1])]
        top, left = row + y * strides[0], column + x * strides[1]
        patch = images[b, top : top + kernel_height, left : left + kernel_width]
        out[b, y, x, k] = (patch * kernel[..., k]).sum()
    return out


CASES = {
    "paper": ((33, 40), (3, 3), (2, 2), (6, 5), 8),
    "odd image, one window": ((31, 37), (3, 3), (2, 2), (6, 5), 1),
    "stride 1": ((20, 20), (3, 3), (1, 1), (7, 9), 4),
    "large kernel, uneven strides": ((40, 41), (5, 4), (2, 3), (5, 4), 2),
    "stride over kernel": ((40, 40), (2, 2), (4, 3), (4, 4), 8),
    "window fills the image": ((13, 13), (3, 3), (2, 2), (6, 6), 8),
}


def make_case(name, dtype=np.float32):
    size, kernel_size, strides, output_size, windows = CASES[name]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, *size, 3)).astype(dtype)
    kernel = rng.normal(size=(*kernel_size, 3, 8)).astype(np.float32)
    corners = sample_windows(
        jax.random.key(1), 3, windows, size, window_size(output_size, kernel_size, strides)
    )
    return images, kernel, corners, output_size, strides


@pytest.mark.parametrize("name", CASES)
def test_readable_form_equals_naive_loop(name):
    images, kernel, corners, *geometry = make_case(name)
    expected = naive_stochastic_conv(images, kernel, np.array(corners), *geometry)
    actual = readable_stochastic_conv(images, kernel, corners, *geometry)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("name", CASES)
def test_fast_form_equals_readable_form_on_integer_pixels(name):
    images, kernel, corners, *geometry = make_case(name, np.uint8)
    expected = readable_stochastic_conv(images, kernel, corners, *geometry)
    actual = jax.jit(stochastic_conv, static_argnums=(3, 4))(images, kernel, corners, *geometry)
    assert actual.shape == expected.shape
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-2)


def gradients_and_value(form, name):
    """Returns the gradients of a sum in the images and in the kernel, and what form returns."""
    images, kernel, corners, *geometry = make_case(name)

    def loss(images, kernel):
        out = form(images, kernel, corners, *geometry)
        return jnp.sin(out).sum(), out

    return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(images / 255, kernel)


@functools.cache
def of_readable_form(name):
    return gradients_and_value(readable_stochastic_conv, name)


BUILT = pytest.mark.skipif(not is_built(), reason="there was no C++ compiler at installation")


# "auto" is "native" on the CPU where that was built, else "loop".
@pytest.mark.parametrize(
    ("name", "method"),
    [
        *(pytest.param(name, "native", marks=BUILT) for name in CASES),
        *((name, "loop") for name in CASES),
        ("paper", "auto"),
        ("paper", "batched"),
        ("odd image, one window", "batched"),
        ("stride over kernel", "batched"),
    ],
)
def test_every_form_and_its_gradients_equal_the_readable_forms(name, method):
    actual = gradients_and_value(functools.partial(stochastic_conv, method=method), name)
    expected = of_readable_form(name)
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


# What XLA was limited to limits this form as well; it is asked for at each call.
@BUILT
@pytest.mark.parametrize(
    ("kernel_size", "strides", "output_size", "kernels", "dtype"),
    [
        # Maps of 7, 1 and some left-over vectors, an odd number of rows and of kernels.
        ((3, 3), (2, 2), (13, 137), 21, np.uint8),
        ((3, 3), (2, 2), (13, 137), 21, np.float32),
        ((3, 3), (2, 2), (8, 32), 32, np.uint8),  # whole vectors and whole lines
        ((5, 5), (1, 1), (9, 33), 16, np.uint8),
        ((2, 2), (3, 4), (10, 35), 5, np.uint8),  # a stride over the kernel
        ((7, 3), (2, 1), (9, 20), 17, np.uint8),  # three rows of the kernel in a plane
    ],
)
@pytest.mark.parametrize("isa", ["AVX512", "AVX2", "SSE4_2"])
def test_the_form_in_cpp_is_the_same_for_every_width_of_vectors(
    isa, kernel_size, strides, output_size, kernels, dtype, monkeypatch
):
    rng = np.random.default_rng(0)
    window = window_size(output_size, kernel_size, strides)
    size = (window[0] + 5, window[1] + 16)
    images = rng.integers(0, 256, (2, *size, 2)).astype(dtype)
    kernel = rng.normal(size=(*kernel_size, 2, kernels)).astype(np.float32)
    corners = sample_windows(jax.random.key(1), 2, kernels, size, window)
    cotangent = rng.normal(size=(2, *output_size, kernels)).astype(np.float32)

    def both(method):
        def forward(kernel):
            return stochastic_conv(images, kernel, corners, output_size, strides, method=method)

        out, pull_back = jax.vjp(forward, kernel)
        return out, pull_back(cotangent)[0]

    wanted = both("loop")
    monkeypatch.setenv("XLA_FLAGS", f"--xla_cpu_max_isa={isa}")
    for actual, expected in zip(both("native"), wanted, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-2)


@BUILT
def test_the_form_in_cpp_moves_windows_inside_that_lie_outside():
    images, kernel, _, output_size, strides = make_case("paper", np.uint8)
    outside, inside = (
        jnp.broadcast_to(jnp.array(corner, jnp.int32), (3, 8, 2))
        for corner in ([-5, 10**6], [0, 40 - window_size(output_size)[1]])
    )
    np.testing.assert_array_equal(
        stochastic_conv(images, kernel, outside, output_size, strides, method="native"),
        stochastic_conv(images, kernel, inside, output_size, strides, method="native"),
    )


@BUILT
def test_the_form_in_cpp_adds_up_alike_each_time():
    rng = np.random.default_rng(0)
    planes = polyphase(rng.integers(0, 256, (6, 96, 96, 3), dtype=np.uint8), (2, 2))
    corners = sample_windows(jax.random.key(0), 6, 40, (96, 96), window_size((40, 40)))
    cotangent = rng.normal(size=(6, 40, 40, 40)).astype(np.float32)

    @jax.jit
    def gradient(kernel):
        def forward(kernel):
            return stochastic_conv_polyphase(planes, kernel, corners, (40, 40), method="native")

        return jax.vjp(forward, kernel)[1](cotangent)[0]

    first, *others = (gradient(jnp.zeros((3, 3, 3, 40))) for _ in range(5))
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_the_form_in_cpp_refuses_planes_that_it_does_not_know(monkeypatch):
    images, kernel, corners, *geometry = make_case("paper")
    with pytest.raises(ValueError, match="planes are bfloat16"):
        stochastic_conv(images.astype(jnp.bfloat16), kernel, corners, *geometry, method="native")
    module = sys.modules["stochconv_jax.ops.stochastic_conv"]
    monkeypatch.setattr(module, "is_built", lambda: False)
    with pytest.raises(ValueError, match="it was not built"):
        stochastic_conv(images, kernel, corners, *geometry, method="native")


def test_kernel_gradient_on_integer_planes_equals_that_on_float_planes():
    images, kernel, corners, *geometry = make_case("stride 1", np.uint8)

    @jax.jit
    @jax.grad
    def gradient(kernel, planes):
        return (stochastic_conv_polyphase(planes, kernel, corners, *geometry) ** 2).sum()

    on_integers, on_floats = (
        gradient(kernel, polyphase(images.astype(dtype), geometry[1]))
        for dtype in (np.uint8, np.float32)
    )
    np.testing.assert_allclose(on_integers, on_floats, rtol=1e-5, atol=1e-2)


def test_image_gradient_is_zero_outside_the_windows():
    images, kernel, corners, output_size, strides = make_case("paper")
    height, width = window_size(output_size, kernel.shape[:2], strides)

    @jax.jit
    @jax.grad
    def gradient_of_sum(images):
        return stochastic_conv(images, kernel, corners, output_size, strides).sum()

    gradient = np.array(gradient_of_sum(images))
    inside = np.zeros(images.shape[:3], bool)
    for b, g in np.ndindex(*corners.shape[:2]):
        row, column = np.array(corners[b, g])
        inside[b, row : row + height, column : column + width] = True
    assert not inside.all()
    assert inside.any()
    assert not gradient[~inside].any()
    assert gradient[inside].any(axis=-1).mean() > 0.9


def test_neighbouring_kernels_share_a_window():
    images, kernel, _, output_size, strides = make_case("paper")
    shared = jnp.array([[[0, 0], [5, 7]]] * 3)
    repeated = jnp.repeat(shared, 4, axis=1)
    np.testing.assert_array_equal(
        stochastic_conv(images, kernel, shared, output_size, strides),
        stochastic_conv(images, kernel, repeated, output_size, strides),
    )


@pytest.mark.parametrize(("platform", "loops"), [("cpu", True), ("cuda", False), ("tpu", False)])
def test_images_are_looped_over_where_it_is_exported_for_the_cpu(platform, loops):
    images, kernel, corners, *geometry = make_case("paper", np.uint8)

    def squares(kernel):
        return (stochastic_conv(images, kernel, corners, *geometry) ** 2).sum()

    for function in (squares, jax.grad(squares)):
        with xla_alone():
            exported = jax.export.export(jax.jit(function), platforms=[platform])(kernel)
        assert ("stablehlo.while" in exported.mlir_module()) == loops


# "auto" traces both forms and runs the CPU's.
@pytest.mark.parametrize(
    ("method", "check_vma"), [("auto", True), ("auto", False), ("batched", True)]
)
def test_gradients_over_four_devices_equal_one_devices(method, check_vma):
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(4, 12, 14, 3)).astype(np.float32)
    kernel = rng.normal(size=(2, 2, 3, 4)).astype(np.float32)
    corners = sample_windows(jax.random.key(1), 4, 2, (12, 14), (6, 8))

    def loss(kernel, images, corners):
        return jnp.sin(stochastic_conv(images, kernel, corners, (3, 4), method=method)).sum()

    assert_gradients_equal_one_devices(loss, kernel, images, corners, check_vma=check_vma)


@pytest.mark.parametrize("what", ["forward", "kernel", "images"])
def test_nothing_of_the_windows_size_is_in_memory(what):
    planes = jnp.zeros((4, 2, 2, 3, 128, 128), jnp.float32 if what == "images" else jnp.uint8)
    kernel, corners = jnp.zeros((3, 3, 3, 32)), jnp.zeros((4, 32, 2), jnp.int32)

    def forward(planes, kernel):
        return stochastic_conv_polyphase(planes, kernel, corners, (56, 56), (2, 2))

    def squares(planes, kernel):
        return (forward(planes, kernel) ** 2).sum()

    function = {
        "forward": forward,
        "kernel": jax.grad(squares, 1),
        "images": jax.grad(squares, 0),
    }[what]
    # As users' programs are compiled, whatever the flags of the tests are.
    options = {"xla_cpu_use_fusion_emitters": True, "xla_backend_optimization_level": 3}
    memory = jax.jit(function).lower(planes, kernel).compile(options).memory_analysis()
    output = 4 * 4 * 56 * 56 * 32
    windows = 4 * 4 * 32 * 113 * 113 * 3
    planes_gradient = 4 * planes.size if what == "images" else 0
    assert memory.temp_size_in_bytes < 4 * output + 2 * planes_gradient < windows


def test_polyphase_holds_every_stride_th_pixel_in_numpy_and_jax():
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 12, 3)).astype(np.uint8)
    planes = polyphase(images, (2, 3))
    assert isinstance(planes, np.ndarray)
    assert planes.dtype == np.uint8
    assert planes.shape == (2, 2, 3, 3, 4, 4)
    assert planes.flags.c_contiguous
    for i, j, c in np.ndindex(2, 3, 3):
        np.testing.assert_array_equal(planes[:, i, j, c], images[:, i::2, j::3, c])
    on_device = polyphase(jnp.asarray(images), (2, 3))
    assert isinstance(on_device, jax.Array)
    np.testing.assert_array_equal(on_device, planes)


@pytest.mark.parametrize("as_array", [np.asarray, jnp.asarray])
def test_planes_become_the_images_that_they_were(as_array):
    images = as_array(np.arange(2 * 8 * 12 * 3).reshape(2, 8, 12, 3).astype(np.uint16))
    planes = polyphase(images, (2, 3))
    assert planes.shape == (2, *planes_shape((8, 12), (2, 3)))
    assert image_size_of(planes) == image_size_of(images) == (8, 12)
    assert isinstance(images_from_planes(planes), type(images))
    np.testing.assert_array_equal(images_from_planes(planes), images)
    np.testing.assert_array_equal(images_from_planes(planes[0]), images[0])


def test_an_array_that_is_neither_images_nor_planes_is_refused():
    with pytest.raises(ValueError, match=r"the array is \(8, 12, 3\); expected images"):
        image_size_of(np.zeros((8, 12, 3)))


def test_planes_know_their_strides():
    images, kernel, corners, output_size, _ = make_case("paper")
    planes = polyphase(images[:, 1:], (4, 2))
    given, known = (
        stochastic_conv_polyphase(planes, kernel, corners // 2, output_size, *strides)
        for strides in (((4, 2),), ())
    )
    np.testing.assert_array_equal(given, known)
    with pytest.raises(ValueError, match=r"planes are .*; expected \[B, 2, 2, C, h, w\]"):
        stochastic_conv_polyphase(planes, kernel, corners, output_size, (2, 2))
    with pytest.raises(ValueError, match=r"expected \[B, sh, sw, C, h, w\]"):
        stochastic_conv_polyphase(images, kernel, corners, output_size)


def test_shapes_that_do_not_fit_are_refused_by_name():
    images, kernel, corners, *geometry = make_case("paper")
    with pytest.raises(ValueError, match="3 windows do not divide 8 kernels"):
        stochastic_conv(images, kernel, corners[:, :3], *geometry)
    with pytest.raises(ValueError, match=r"expected \[kh, kw, 3, K\]"):
        stochastic_conv(images, kernel[:, :, :2], corners, *geometry)
    with pytest.raises(ValueError, match=r"corners are \(2, 8, 2\)"):
        stochastic_conv(images, kernel, corners[:2], *geometry)
    for method in ("auto", "loop"):
        with pytest.raises(
            ValueError, match="windows of 41x41 pixels do not fit into images of 34x40"
        ):
            stochastic_conv(images, kernel, corners, (20, 20), method=method)
    with pytest.raises(ValueError, match="33x40 do not divide by strides 2x2"):
        polyphase(images, (2, 2))
    with pytest.raises(ValueError, match="use one of auto, loop, batched"):
        stochastic_conv(images, kernel, corners, *geometry, method="fast")


def test_windows_that_are_copied_are_convolved_alike():
    images, kernel = noise(0, 2, 40, 44, 3), np.random.default_rng(1).normal(size=(3, 3, 3, 8))
    corners = np.array([[[0, 0], [3, 7]], [[27, 31], [1, 30]]], np.int32)
    kernel = kernel.astype(np.float32)
    wanted = stochastic_conv(images, kernel, corners, (6, 6))
    with portable_forms():
        found = stochastic_conv(images, kernel, corners, (6, 6))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-3)
