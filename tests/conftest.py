"""Four CPU devices and a compilation cache for the whole suite; one tiny run to look at."""

import gc
import hashlib
import os
import pathlib
import shutil

import pytest
from hypothesis import HealthCheck, settings

# Bytes; a suite compiles some 80 million.
MOST_CACHED = 1 << 30
# Networks here are compiled for longer than they run. Without its fusion emitters, which optimise
# at any level, XLA:CPU compiles one in a quarter of the time. Flags that are given come last and
# count: `make test-slow` compiles as users' programs do.
os.environ["XLA_FLAGS"] = " ".join(
    (
        "--xla_force_host_platform_device_count=4",
        "--xla_cpu_use_fusion_emitters=false",
        "--xla_backend_optimization_level=1",
        os.environ.get("XLA_FLAGS", ""),
    )
)
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")  # level 0, but for `optimized`


def compilation_cache():
    """Returns where compiled programs outlive a checkout: in the user's cache, if it can be made.

    They are executed as they lie there, by processors of the same instructions alone. JAX finds
    them by its version and flags, and by all that a program is made of.
    """
    user = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    processor = pathlib.Path("/proc/cpuinfo")
    lines = processor.read_text(errors="replace").splitlines() if processor.exists() else []
    instructions = "".join({line for line in lines if line.startswith(("flags", "Features"))})
    kind = hashlib.sha256(instructions.encode()).hexdigest()[:12]
    place = user / "stochconv_jax" / "tests" / kind
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return pathlib.Path(__file__).parents[1] / ".pytest_cache" / "jax"
    if "PYTEST_XDIST_WORKER" not in os.environ:
        programs = [(path, path.stat().st_size) for path in place.iterdir()]
        if sum(size for _, size in programs) > MOST_CACHED:
            shutil.rmtree(place)
    return place


if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(compilation_cache())
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
os.environ.setdefault("KERAS_BACKEND", "jax")
# As stochconv_jax.command_line.run.
gc.set_threshold(100_000)
# Where programs that tests start find the backbone of small_config.py.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(pathlib.Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
)

# The same inputs each time, and few; `--hypothesis-profile=thorough` thinks of others and of many.
PROFILE = {
    "deadline": None,  # what is compiled takes longer the first time
    "database": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}
settings.register_profile("quick", **PROFILE, derandomize=True, max_examples=6)
settings.register_profile("thorough", **PROFILE, max_examples=300)
settings.load_profile("quick")


@pytest.fixture(scope="module")
def optimized():
    """Compiles optimised what a file's tests run for longer than it compiles."""
    import jax  # not before the environment is set

    before = os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "true"
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Where the synthetic lesions of tiny runs are kept."""
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture(scope="session")
def straight(tmp_path_factory, prepared):
    """A run of two epochs without interruption."""
    # Not before the environment is set.
    from support import SMALL, command, run_here

    from stochconv_jax.training.loop import train

    workdir = tmp_path_factory.mktemp("straight")
    run_here(train, command("tests/small_config.py", workdir, prepared, **SMALL))
    return workdir
