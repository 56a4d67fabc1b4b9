"""Where compiled programs are kept between processes, apart for each kind of machine."""

import hashlib
import pathlib

import jax
import jaxlib

PROCESSOR = pathlib.Path("/proc/cpuinfo")


def keep_compiled(directory: pathlib.Path) -> None:
    """Lets JAX keep compiled programs in `directory`, and find there what like machines compiled.

    A program compiled for one processor may not run on another that lacks an instruction, and
    machines may share the directory.
    """
    place = (directory / machine()).absolute()
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
