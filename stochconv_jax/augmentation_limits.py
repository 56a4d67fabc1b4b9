"""Whether a config's augmentations can be done in the order that it asks for."""

from typing import Any

from ml_collections import ConfigDict

from stochconv_jax.configs.base import AUGMENTATIONS
from stochconv_jax.errors import InputError

_GEOMETRY = frozenset(AUGMENTATIONS[0][1:])
_KNOWN = tuple(name for _, *names in AUGMENTATIONS for name in names)


def check_augmentations(data: ConfigDict) -> None:
    """Checks that `augment.order` names what is asked for, once, in steps of one kind.

    Args:
      data: the `data` section.

    Raises:
      InputError: it does not.
    """
    augment = data.augment
    if augment.noise_least > augment.noise:
        raise InputError(
            f"data.augment.noise_least is {augment.noise_least}, more than data.augment.noise, "
            f"{augment.noise}, which is the largest deviation"
        )
    for step in augment.order:
        _check_step(step)
    named = [name for _, *names in augment.order for name in names]
    for name in named:
        if name not in _KNOWN or named.count(name) > 1:
            raise InputError(
                f"data.augment.order names {name!r}, which "
                + ("stands there twice" if name in _KNOWN else f"is not one of {', '.join(_KNOWN)}")
            )
    part = tuple(augment.crop_area) != (1, 1) or tuple(augment.crop_aspect) != (1, 1)
    asked = {
        "crop": part or any(data.crop_size),
        "randaugment": augment.randaugment_operations,
        "hsv_shift": any(augment.hsv_shift),
    }
    for name in set(_KNOWN) - set(named):
        if asked[name] if name in asked else augment[name]:
            raise InputError(f"data.augment.order leaves out {name}, which is asked for; name it")


def _check_step(step: Any) -> None:
    probability, *names = step if isinstance(step, tuple) and step else (None,)
    is_probability = isinstance(probability, int | float) and 0 < probability <= 1
    if not is_probability or not names or not all(isinstance(name, str) for name in names):
        raise InputError(
            f"data.augment.order has the step {step!r}; write steps such as (0.5, 'hue'), a "
            "probability more than 0 and at most 1, then names of augmentations"
        )
    if _GEOMETRY & set(names) and set(names) - _GEOMETRY:
        raise InputError(
            f"data.augment.order has the step {step!r}, which changes places and colours; make "
            "two steps of it"
        )
