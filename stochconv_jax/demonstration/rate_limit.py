"""How often each client may ask."""

import collections
import threading
import time
from collections.abc import Callable


class RateLimit:
    """A sliding window: at most `count` requests of a client in any `seconds`."""

    def __init__(
        self, count: int, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic
    ):
        self.count, self.seconds, self.clock = count, seconds, clock
        self._lock = threading.Lock()
        # Of each client the times of its requests; who asked last stands last.
        self._times: collections.OrderedDict[str, collections.deque[float]] = (
            collections.OrderedDict()
        )

    def allows(self, client: str) -> bool:
        """Counts a request, unless there were too many; returns whether it is allowed."""
        with self._lock:
            now = self.clock()
            self._forget(now)
            times = self._times.setdefault(client, collections.deque())
            while times and times[0] <= now - self.seconds:
                times.popleft()
            if len(times) >= self.count:
                return False
            times.append(now)
            self._times.move_to_end(client)
            return True

    def _forget(self, now: float) -> None:
        """Drops clients that have not asked for so long that nothing of them counts."""
        while self._times:
            client, times = next(iter(self._times.items()))
            if times and times[-1] > now - self.seconds:
                return
            del self._times[client]
