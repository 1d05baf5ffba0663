"""Keeping all that goes to a hub within a number of bytes per second."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BURST_S = 0.25
"""How much time an idle sender may make up for; without it, pauses that end a little late would add up."""

MIN_BYTES_PER_S = 128 * 2**10
"""What one upload needs: a hub cuts bodies off that take 600 s, and at this rate a pack of 64 MiB takes 512 s."""


class Pacer:
    """A token bucket that threads share: whoever takes bytes waits until they may go, in the order of asking."""

    def __init__(
        self,
        bytes_per_s: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`bytes_per_s` is 0 for no limit; `clock` gives seconds, and `sleep` lets them pass."""
        self._bytes_per_s = bytes_per_s
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._due = clock()

    def take(self, count: int) -> None:
        """Wait until `count` bytes may go."""
        if self._bytes_per_s == 0:
            return
        with self._lock:
            now = self._clock()
            self._due = max(self._due, now - BURST_S) + count / self._bytes_per_s
            pause_s = self._due - now
        if pause_s > 0:
            self._sleep(pause_s)

    def paced(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The same pieces, each when it may go."""
        for piece in pieces:
            self.take(len(piece))
            yield piece


class Uplink(NamedTuple):
    """How uploads share the way to the hub: at most `width` at a time, all of them at the pace of one `pacer`."""

    pacer: Pacer
    width: int


def open_uplink(concurrency: int, bytes_per_s: int) -> Uplink:
    """An uplink of at most `concurrency` uploads, fewer where the limit leaves too little for each; 0 is no limit."""
    width = min(concurrency, max(1, bytes_per_s // MIN_BYTES_PER_S)) if bytes_per_s else concurrency
    return Uplink(Pacer(bytes_per_s), width)
