import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stochconv_jax.keys import IMPLEMENTATION, image_keys, pinned

KEYS = {
    "threefry": lambda: jax.random.key(3, impl="threefry2x32"),
    "rbg": lambda: jax.random.key(3, impl="rbg"),
    "default": lambda: jax.random.key(3),
    "raw": lambda: jax.random.PRNGKey(3),
}


@pytest.mark.parametrize("default", ["threefry2x32", "rbg"])
@pytest.mark.parametrize("name", KEYS)
def test_an_images_key_is_the_same_in_any_batch(name, default):
    with jax.default_prng_impl(default):
        key = KEYS[name]()
        whole = image_keys(key, jnp.arange(8))
        part = jax.jit(image_keys)(key, jnp.array([5, 2]))
        assert str(jax.random.key_impl(whole)) == IMPLEMENTATION
        draws, few = (jax.vmap(jax.random.bits)(keys) for keys in (whole, part))
    np.testing.assert_array_equal(few, draws[jnp.array([5, 2])])
    assert len(np.unique(draws)) == 8


def test_a_key_of_the_pinned_implementation_stays_itself():
    key = jax.random.key(3, impl=IMPLEMENTATION)
    assert pinned(key) is key


@pytest.mark.parametrize("implementation", ["threefry2x32", "rbg"])
def test_raw_keys_become_the_same_under_any_default(implementation):
    """A raw key says by its length what it is."""
    with jax.default_prng_impl(implementation):
        raw, typed = jax.random.PRNGKey(3), jax.random.key(3)
    for default in ("threefry2x32", "rbg"):
        with jax.default_prng_impl(default):
            assert (jax.random.key_data(pinned(raw)) == jax.random.key_data(pinned(typed))).all()


def test_different_keys_become_different_keys_also_under_vmap():
    with jax.default_prng_impl("rbg"):
        keys = jax.random.split(jax.random.key(3), 5)
    one_by_one = [jax.random.key_data(pinned(key)) for key in keys]
    np.testing.assert_array_equal(jax.random.key_data(jax.vmap(pinned)(keys)), one_by_one)
    assert len(np.unique(one_by_one, axis=0)) == 5
