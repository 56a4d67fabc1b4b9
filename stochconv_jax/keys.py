"""Every random key of a run, by what it is for.

Whatever is drawn depends on (seed, purpose) and on numbers that do not change with the machine: a
step or a pass, and the image's index. Two purposes never share a key.
"""

import enum

import jax
import jax.numpy as jnp
import numpy as np

# Whatever `jax_default_prng_impl` says: under vmap, "rbg" keys draw other numbers in other batches.
IMPLEMENTATION = "threefry2x32"


class Purpose(enum.IntEnum):
    """What a key is for; a number once given is never given again."""

    PARAMETERS = 1
    ORDER = 2
    VIEW = 3
    TRAINING = 4
    VALIDATION = 5
    EVALUATION = 6
    RESAMPLING = 7
    PROBING = 8
    OVERSAMPLING = 9


def run_key(seed: int, purpose: Purpose) -> jax.Array:
    """Returns the key of a run's seed for one purpose."""
    return jax.random.fold_in(jax.random.key(seed, impl=IMPLEMENTATION), int(purpose))


def generator(seed: int, purpose: Purpose, *numbers: int) -> np.random.Generator:
    """Returns NumPy's generator for a purpose, such as the view of an image in a pass."""
    return np.random.default_rng((seed, int(purpose), *numbers))


def image_keys(key: jax.Array, image_index: jax.Array) -> jax.Array:
    """Returns a key for each image, [B], from a key and int [B]: the same in any batch.

    A key of another implementation, such as "rbg", or of the old kind (uint32) is first turned into
    one of `IMPLEMENTATION`.
    """
    return jax.vmap(jax.random.fold_in, (None, 0))(pinned(key), image_index)


def pinned(key: jax.Array) -> jax.Array:
    """Returns the key itself, or what it becomes in `IMPLEMENTATION`, the same on any device."""
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        data = key
    elif str(jax.random.key_impl(key)) == IMPLEMENTATION:
        return key
    else:
        data = jax.random.key_data(key)
    # By its words, not by a draw: what "rbg" draws depends on the device and on vmap.
    pinned_key = jax.random.wrap_key_data(data[:2], impl=IMPLEMENTATION)
    for word in range(2, data.shape[0]):
        pinned_key = jax.random.fold_in(pinned_key, data[word])
    return pinned_key
