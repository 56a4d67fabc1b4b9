"""Where compiled programs are kept between processes, apart for each kind of machine.

They are executed as they lie there, so that no directory that may be a stranger's holds them.
"""

import hashlib
import os
import pathlib

import jax
import jaxlib

PROCESSOR = pathlib.Path("/proc/cpuinfo")


def keep_compiled() -> None:
    """Lets JAX keep compiled programs in the user's cache, and find there what it kept.

    They lie in $XDG_CACHE_HOME/stochconv_jax/compiled, $XDG_CACHE_HOME being ~/.cache where it is
    not set, or where JAX_COMPILATION_CACHE_DIR says; nowhere if no such directory can be made. A
    program compiled for one processor may not run on another that lacks an instruction, and
    machines may share a home.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # To be ignored if it is relative (XDG Base Directory Specification).
    cache = cache if os.path.isabs(cache) else os.path.expanduser("~/.cache")
    place = pathlib.Path(cache, "stochconv_jax", "compiled", machine())
    if not place.is_absolute():  # a user without a home
        return
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(place))


def machine() -> str:
    """Returns 12 hex digits that tell unlike machines apart: JAX's version, device, processor."""
    device = jax.local_devices()[0]
    facts = [jax.__version__, jaxlib.__version__, device.platform, device.device_kind]
    if device.platform == "cpu":
        facts.append(_instructions())
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12]


def _instructions() -> str:
    """The processor's instruction sets, as Linux tells them; "" elsewhere."""
    try:
        lines = PROCESSOR.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    found = (line.partition(":") for line in lines)
    sets = (value for name, _, value in found if name.strip() in ("flags", "Features"))
    return " ".join(sorted(next(sets, "").split()))
