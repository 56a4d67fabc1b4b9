"""SIGTERM in one of two processes: both save at the same step."""

import signal
import time

from support import SMALL, command
from two_processes import finish, starting


def test_sigterm_in_one_process_saves_and_ends_both(tmp_path):
    fields = SMALL | {"train.steps_per_epoch": "1000000", "train.checkpoint_minutes": "0.03"}
    words = command("tests/small_config.py", tmp_path / "run", tmp_path / "prepared", **fields)

    def saved():
        names = [path.name for path in (tmp_path / "run" / "checkpoints").glob("*")]
        return [int(name) for name in names if name.isdecimal()]

    with starting() as start:
        processes = start(["train.py", *words])
        while not saved():
            assert all(process.poll() is None for process in processes), finish(processes)
            time.sleep(0.05)
        processes[1].send_signal(signal.SIGTERM)
        codes, ((_, told), (_, silent)) = finish(processes)
    assert codes == [143, 143]
    assert f"terminated after step {max(saved())} of 1000000 of epoch 1, which is saved" in told
    assert silent == ""
