"""Ending all processes as one: for the mistake of one, or since one can no longer be reached.

Whoever comes first writes what happened under `END`, for which every process listens; process 0
says it. JAX's own heartbeats would notice a lost process later, and abort the others.
"""

import contextlib
import json
import threading
import time

import jax

from stochconv_jax.hosts.exchange import client, host_name, is_first, process_count, process_number
from stochconv_jax.hosts.voice import Voice

END = "end"
GOES_ON = "the same command goes on from the last checkpoint, also on fewer hosts"
# A process shows every so many seconds that it lives, and is lost where it did not for so many.
BEAT_SECONDS = 1.0
SILENT_SECONDS = 20.0
# The same once something has failed, which a lost process may be the reason of.
SUSPECT_SECONDS = 4.0
# How long process 0 waits for the others to end, who would miss it.
ENDING_SECONDS = 3.0


class Watch:
    """Listens in a thread until `stop`."""

    def __init__(self, voice: Voice):
        self.voice = voice
        client().key_value_set(f"name/{process_number()}", host_name())
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()
        self.looker = threading.Thread(target=self._look, daemon=True)
        if is_first():
            self.looker.start()

    def stop(self) -> None:
        """Ends the listening of all, once all have come to their end."""
        if is_first():
            client().key_value_set(END, json.dumps({"code": 0}))
        self.listener.join()
        if is_first():
            self.looker.join()

    def end_all(self, text: str, code: int) -> None:
        """Ends the other processes, unless that was begun by another; process 0 says why."""
        own = {"by": process_number(), "text": text, "code": code}
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # another came first
            client().key_value_set(END, json.dumps(own))
        if is_first():
            self._await_ends()

    def silent(self, seconds: float) -> list[str]:
        """Returns which processes show no sign of life for so long.

        Raises:
          jax.errors.JaxRuntimeError: process 0 cannot be reached.
        """
        before = dict(client().key_value_dir_get("alive/"))
        time.sleep(seconds)
        after = dict(client().key_value_dir_get("alive/"))
        return _names([key for key in before if before[key] == after[key]])

    def _listen(self) -> None:
        own = process_number()
        while True:
            try:
                found = client().blocking_key_value_get(END, int(1000 * BEAT_SECONDS))
            except jax.errors.JaxRuntimeError as error:
                if "DEADLINE_EXCEEDED" not in str(error):
                    self.voice.end(lost(["process 0"]), 1)
                client().key_value_increment(f"alive/{own}", 1)
            else:
                break
        told = json.loads(found)
        if not told["code"] or told["by"] == own == 0:
            return  # the block ends by itself
        if own:
            client().key_value_increment("ended", 1)
            self.voice.end("", told["code"])
        self._await_ends()
        self.voice.end(told["text"], told["code"])

    def _look(self) -> None:
        seen: dict[str, tuple[str, float]] = {}
        while self.listener.is_alive():
            now = time.monotonic()
            for key, beat in client().key_value_dir_get("alive/"):
                if key not in seen or seen[key][0] != beat:
                    seen[key] = beat, now
            silent = [key for key, (_, since) in seen.items() if now - since > SILENT_SECONDS]
            if silent:
                text = lost(_names(silent))
                self.end_all(text, 1)
                self.voice.end(text, 1)
            time.sleep(BEAT_SECONDS)

    def _await_ends(self) -> None:
        until = time.monotonic() + ENDING_SECONDS
        others = process_count() - 1
        while client().key_value_increment("ended", 0) < others and time.monotonic() < until:
            time.sleep(0.05)


def _names(keys: list[str]) -> list[str]:
    numbers = (key.rpartition("/")[2] for key in keys)
    return [client().key_value_try_get(f"name/{number}") for number in numbers]


def lost(names: list[str]) -> str:
    """Returns the sentence that processes can no longer be reached."""
    return f"error: {', '.join(names)} can no longer be reached, so that all end; {GOES_ON}"
