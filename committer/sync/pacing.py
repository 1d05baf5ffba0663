"""Keeping all that goes to a hub within a number of bytes per second."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BURST_S = 0.25
"""How much time an idle sender may make up for; without it, pauses that end a little late would add up."""

PIECE = 16 * 2**10
"""What urllib3 reads of a file at a time; whoever takes pieces of one size gets one share."""

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

    def paced(self, pieces: Iterator[bytes], stop: threading.Event) -> Iterator[bytes]:
        """The same bytes when they may go, in pieces so small that a stream takes no more than its share.

        Raises:
            UploadStopped: `stop` is set.
        """
        for piece in pieces:
            for start in range(0, len(piece), PIECE) if self._bytes_per_s else (0,):
                part = piece[start : start + PIECE] if self._bytes_per_s else piece
                self.take(len(part))
                if stop.is_set():
                    raise UploadStopped
                yield part


class UploadStopped(Exception):
    """Nobody waits for an upload any more, so it was not finished."""


class Uplink(NamedTuple):
    """How uploads share the way to the hub: at most `width` at a time, all of them at the pace of one `pacer`."""

    pacer: Pacer
    width: int


def open_uplink(concurrency: int, bytes_per_s: int, *, streams: int = 0) -> Uplink:
    """An uplink of at most `concurrency` uploads, fewer where the limit leaves too little for each; 0 is no limit.

    `streams` are as many others as share the pace.
    """
    shares = bytes_per_s // MIN_BYTES_PER_S - streams
    return Uplink(Pacer(bytes_per_s), min(concurrency, max(1, shares)) if bytes_per_s else concurrency)
