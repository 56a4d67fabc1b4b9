"""Four CPU devices and a compilation cache for the whole suite; one tiny run to look at."""

import os
import pathlib

import pytest
from hypothesis import HealthCheck, settings

# Networks here are compiled for longer than they run. Without its fusion emitters, which optimise
# at any level, XLA:CPU compiles one in a quarter of the time. Flags that are given come last and
# count: `make test-slow` compiles as users' programs do.
os.environ["XLA_FLAGS"] = " ".join(
    (
        "--xla_force_host_platform_device_count=4",
        "--xla_cpu_use_fusion_emitters=false",
        "--xla_backend_optimization_level=0",
        os.environ.get("XLA_FLAGS", ""),
    )
)
CACHE = pathlib.Path(__file__).parents[1] / ".pytest_cache" / "jax"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE))
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
os.environ.setdefault("KERAS_BACKEND", "jax")
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
