import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from stochconv_jax.ops import sample_windows, window_size


def test_window_size_is_the_papers():
    assert window_size((112, 112), (3, 3), (2, 2)) == (225, 225)
    assert window_size((10, 20), (7, 5), (2, 3)) == (25, 62)


def test_corners_are_uniform_over_every_valid_position():
    corners = np.array(sample_windows(jax.random.key(0), 2000, 8, (20, 16), (12, 10)))
    assert corners.shape == (2000, 8, 2)
    assert corners.dtype == np.int32
    positions = corners[..., 0] * 7 + corners[..., 1]
    counts = np.bincount(positions.ravel(), minlength=63)
    assert counts.shape == (63,)
    assert corners[..., 1].max() == 6
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_a_window_as_large_as_the_image_has_one_position():
    assert not sample_windows(jax.random.key(0), 3, 2, (9, 9), (9, 9)).any()


def test_diagonal_windows_reach_both_ends_of_the_diagonal():
    square = np.array(
        sample_windows(jax.random.key(1), 500, 4, (20, 20), (15, 15), axes="diagonal")
    )
    assert (square[..., 0] == square[..., 1]).all()
    assert set(square[..., 0].ravel()) == set(range(6))
    wide = np.array(sample_windows(jax.random.key(1), 500, 4, (20, 40), (15, 15), axes="diagonal"))
    assert wide[..., 0].max() == 5
    assert wide[..., 1].max() == 25
    assert wide.min() == 0
    assert np.corrcoef(wide[..., 0].ravel(), wide[..., 1].ravel())[0, 1] > 0.95


def test_per_batch_windows_are_shared_by_all_images_but_not_by_kernels():
    corners = sample_windows(jax.random.key(2), 5, 16, (90, 90), (15, 15), per_image=False)
    assert (corners == corners[:1]).all()
    assert len(np.unique(np.array(corners[0]), axis=0)) > 10


def test_an_images_windows_depend_on_its_index_and_not_on_its_batch():
    key, arguments = jax.random.key(3), (6, (64, 64), (15, 15))
    whole = sample_windows(key, 8, *arguments)
    part = sample_windows(key, 3, *arguments, image_index=jnp.array([6, 1, 7]))
    np.testing.assert_array_equal(part, whole[jnp.array([6, 1, 7])])
    assert not (whole[0] == whole[1]).all()


def raw_key(implementation):
    with jax.default_prng_impl(implementation):
        return jax.random.PRNGKey(3)


@pytest.mark.parametrize("per_image", [True, False])
@pytest.mark.parametrize(
    "make_key", [lambda: jax.random.key(3, impl="rbg"), lambda: raw_key("rbg")]
)
def test_whatever_the_key_an_images_windows_do_not_depend_on_its_batch(make_key, per_image):
    key = make_key()
    with jax.default_prng_impl("rbg"):
        few, many = (
            np.array(sample_windows(key, batch, 6, (64, 64), (15, 15), per_image, "independent", i))
            for batch, i in ((3, jnp.array([4, 5, 6])), (8, jnp.arange(8)))
        )
    np.testing.assert_array_equal(few[1], many[5])
    assert (few[0] == few[1]).all() != per_image


def test_threefry_keys_draw_the_corners_that_they_always_drew():
    corners = sample_windows(jax.random.key(3), 2, 2, (64, 64), (15, 15))
    shared = sample_windows(jax.random.key(3), 2, 2, (64, 64), (15, 15), per_image=False)
    assert corners.tolist() == [[[2, 15], [10, 20]], [[41, 40], [36, 45]]]
    assert shared.tolist() == [[[45, 39], [5, 4]]] * 2


def even_fractions(images, windows, **arguments):
    """Even corners as shares of an image that has about as many places as their bits tell apart."""
    corners = sample_windows(
        jax.random.key(4), images, windows, (50014, 50014), (15, 15), placement="even", **arguments
    )
    return np.array(corners) / 50000


def test_every_even_window_is_as_uniform_as_an_independent_one():
    corners = sample_windows(jax.random.key(0), 4000, 8, (20, 16), (12, 10), placement="even")
    for window in (0, 1, 7):
        positions = np.array(corners[:, window, 0] * 7 + corners[:, window, 1])
        assert scipy.stats.chisquare(np.bincount(positions, minlength=63)).pvalue > 1e-3


def discrepancy(sets):
    """Mean over sets of points; on the torus, since the shift of even points wraps."""
    return np.mean([scipy.stats.qmc.discrepancy(each, method="WD") for each in sets])


@pytest.mark.parametrize("count", [4, 7, 16, 64])
def test_any_prefix_of_even_windows_covers_the_image_more_evenly(count):
    points = even_fractions(20, 64)[:, :count]
    independent = np.random.default_rng(0).uniform(size=(200, count, 2))
    assert discrepancy(points) < 0.5 * discrepancy(independent)
    distance = np.abs(points[:, :, None] - points[:, None])
    distance = np.linalg.norm(np.minimum(distance, 1 - distance), axis=-1) + np.eye(count)
    # Never two on one place: independent ones come as near as 0.5 / count in the mean.
    assert distance.min() > 0.5 / np.sqrt(count)


def test_the_draws_of_a_key_go_on_with_one_even_sequence():
    whole = even_fractions(3, 12)
    drawn = [even_fractions(3, 4, draw=jnp.array(draw)) for draw in range(3)]
    np.testing.assert_array_equal(drawn[0], whole[:, :4])
    for image in range(3):
        found = np.concatenate([draw[image] for draw in drawn])
        np.testing.assert_array_equal(np.unique(found, axis=0), np.unique(whole[image], axis=0))


@pytest.mark.parametrize("windows", [1, 4, 16])
def test_the_windows_of_each_kernel_cover_the_image_over_the_draws(windows):
    """Every fourth point of the sequence lies on a strip of a third of the image's height."""
    draws = [even_fractions(20, windows, draw=jnp.array(draw)) for draw in range(16)]
    independent = np.random.default_rng(0).uniform(size=(200, 16, 2))
    for kernel in range(windows):
        own = np.stack([draw[:, kernel] for draw in draws], axis=1)
        assert discrepancy(own) < 1.1 * discrepancy(independent)


def test_independent_draws_are_others_and_the_first_is_the_keys_own():
    arguments = (jax.random.key(3), 2, 2, (64, 64), (15, 15))
    draws = [np.array(sample_windows(*arguments, draw=jnp.array(draw))) for draw in range(3)]
    np.testing.assert_array_equal(draws[0], sample_windows(*arguments))
    assert not (draws[0] == draws[1]).all()
    assert not (draws[1] == draws[2]).all()


def test_even_windows_per_batch_are_shared_by_all_images():
    points = even_fractions(5, 16, per_image=False)
    assert (points == points[:1]).all()
    assert len(np.unique(points[0], axis=0)) == 16


def test_placements_that_do_not_go_with_the_rest_are_refused():
    arguments = (jax.random.key(0), 1, 1, (24, 30), (5, 5))
    with pytest.raises(ValueError, match="placement is 'odd'; use one of independent, even"):
        sample_windows(*arguments, placement="odd")
    with pytest.raises(ValueError, match="even windows have independent axes"):
        sample_windows(*arguments, placement="even", axes="diagonal")
    with pytest.raises(ValueError, match="at most 65535 places along an axis, not 69996"):
        sample_windows(jax.random.key(0), 1, 1, (24, 70000), (5, 5), placement="even")


def test_what_does_not_fit_is_refused_by_name():
    with pytest.raises(ValueError, match="225x225 pixels does not fit into an image of 224x300"):
        sample_windows(jax.random.key(0), 1, 1, (224, 300), (225, 225))
    with pytest.raises(ValueError, match="axes is 'both'"):
        sample_windows(jax.random.key(0), 1, 1, (24, 30), (5, 5), axes="both")
