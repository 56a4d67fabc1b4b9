"""No worker process outlives the program that started it."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from support import ROOT

# Both print the numbers of their worker processes; these read the program again, so it has a guard.
PREPARES = """
import multiprocessing, time
from stochconv_jax.data.preparation.inspection import worker_pool
if __name__ == "__main__":
    with worker_pool(2) as pool:
        list(pool.map(abs, range(8)))
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)
        time.sleep(600)
"""
READS = """
import multiprocessing, time
from test_pipeline import make_dataset
from stochconv_jax.data.pipeline.batches import Pipeline
if __name__ == "__main__":
    pipeline = Pipeline(make_dataset(), (16, 16), workers=2)
    batches = pipeline.training_batches(4, 0, 0)
    next(batches)
    # The second process may be on its way yet.
    while len(multiprocessing.active_children()) < 2:
        time.sleep(0.05)
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("program", [PREPARES, READS], ids=["prepares", "reads"])
def test_workers_end_with_a_program_that_is_killed(program, tmp_path):
    path = tmp_path / "program.py"
    path.write_text(program)
    process = subprocess.Popen(
        [sys.executable, path],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            workers = [int(number) for number in process.stdout.readline().split()]
            assert len(workers) == 2
            assert all(map(is_running, workers))
        finally:
            process.send_signal(signal.SIGKILL)
    ended = time.monotonic() + 20
    while any(map(is_running, workers)):
        assert time.monotonic() < ended, "workers go on without their program"
        time.sleep(0.05)


def is_running(number):
    try:
        return pathlib.Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
