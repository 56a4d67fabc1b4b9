"""The images of a table, prepared where that is not done."""

import hashlib
import os
import pathlib

from stochconv_jax.data.dataset.manifest import FILE_NAME
from stochconv_jax.data.framing import Framing
from stochconv_jax.data.preparation.folder import FolderTable, read_folder
from stochconv_jax.data.preparation.preparation import NEAR, make_plan, reserved, write_prepared
from stochconv_jax.data.preparation.summary import describe_dropped


def prepare_folder(
    folder: FolderTable, framing: Framing, prepared_directory: str | pathlib.Path
) -> pathlib.Path:
    """Prepares, unless that is done, the images of a table; says which are left out or enlarged.

    Returns:
      Where they are, a directory within `prepared_directory`.

    Raises:
      InputError: the directory, the table or a column is not usable, or no image is.
    """
    size = framing.size
    output = pathlib.Path(prepared_directory) / f"folder_{_digest(folder, framing)}"
    processes = os.cpu_count() or 1
    photographs = read_folder(folder)
    with reserved(output):
        plan = make_plan(photographs, framing, None, NEAR, processes, output)
        dropped = describe_dropped(plan.rows)
        if dropped:
            print(f"left out: {dropped}; {output / FILE_NAME} says which", flush=True)
        enlarged = sum(int(row.width) < size[1] or int(row.height) < size[0] for row in plan.kept)
        if enlarged:
            print(
                f"enlarged: {enlarged} of {len(plan.kept)} images are smaller than "
                f"{size[1]}x{size[0]}; they have no detail of that size, so lower data.high_size",
                flush=True,
            )
        write_prepared(plan, framing, output, processes)
    return output


def _digest(folder: FolderTable, framing: Framing) -> str:
    place = os.path.abspath(folder.directory)
    told = (place, folder, framing, folder.more) if folder.more else (place, folder, framing)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:12]
