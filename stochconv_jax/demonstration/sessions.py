"""Whose upload is remembered: the latest people's, few of one client, and none for long."""

import collections
import threading
import time
from collections.abc import Callable

# Seconds since it last asked for which a session is remembered; it holds one upload.
REMEMBERED = 900.0
MOST, MOST_OF_CLIENT = 50, 10


class Sessions:
    """Names of sessions, which clients choose, each with who asked by it last, and when.

    Where there are too many of one client, its own oldest one makes room, not another client's.
    """

    def __init__(
        self,
        seconds: float = REMEMBERED,
        most: int = MOST,
        most_of_client: int = MOST_OF_CLIENT,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.seconds, self.most, self.most_of_client = seconds, most, most_of_client
        self.clock = clock
        self._lock = threading.Lock()
        # Of each session its client and when it asked; what asked last stands last.
        self._asked: collections.OrderedDict[str, tuple[str, float]] = collections.OrderedDict()

    def __contains__(self, session: object) -> bool:
        with self._lock:
            return session in self._asked

    def ask(self, session: str, client: str) -> None:
        """Remembers a session from now on, and may forget another one."""
        with self._lock:
            self._asked[session] = client, self.clock()
            self._asked.move_to_end(session)
            own = [name for name, (whose, _) in self._asked.items() if whose == client]
            if len(own) > self.most_of_client:
                del self._asked[own[0]]
            elif len(self._asked) > self.most:
                self._asked.popitem(last=False)

    def forget_old(self) -> None:
        """Forgets sessions that asked for nothing for too long."""
        with self._lock:
            oldest = self.clock() - self.seconds
            while self._asked and next(iter(self._asked.values()))[1] < oldest:
                self._asked.popitem(last=False)
