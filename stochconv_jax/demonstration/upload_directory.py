"""Where uploads lie for the seconds until they are read."""

import contextlib
import os
import pathlib
import tempfile
import time
from collections.abc import Iterator

from stochconv_jax.demonstration.periodic import every

# Seconds since a file was last written to.
LIFETIME = 30.0


@contextlib.contextmanager
def upload_directory(lifetime: float = LIFETIME) -> Iterator[pathlib.Path]:
    """Makes the directory that Gradio writes uploads to, empties it all the while, and removes it.

    Whatever has not been written to for `lifetime` seconds is deleted, the remains of broken
    uploads as well, which Gradio's own `delete_cache` would leave. (An upload cannot be deleted as
    soon as it is read: two people's uploads of one image are one file.)
    """
    with tempfile.TemporaryDirectory(prefix="stochconv_demo_") as name:
        directory = pathlib.Path(name)
        before = os.environ.get("GRADIO_TEMP_DIR")
        os.environ["GRADIO_TEMP_DIR"] = name
        try:
            with every(lifetime / 10, lambda: delete_old_files(directory, lifetime)):
                yield directory
        finally:
            os.environ.pop("GRADIO_TEMP_DIR")
            if before is not None:
                os.environ["GRADIO_TEMP_DIR"] = before


def delete_old_files(directory: pathlib.Path, age: float) -> None:
    """Deletes files that were last written to `age` seconds ago or earlier, and empty folders."""
    for path in sorted(directory.rglob("*"), reverse=True):
        # Others write here meanwhile: a file may be gone, a folder filled again.
        with contextlib.suppress(OSError):
            if path.stat().st_mtime <= time.time() - age:
                path.rmdir() if path.is_dir() else path.unlink()
