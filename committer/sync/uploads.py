"""Uploading packs: a few at a time without a gap, each piece paced and counted."""

from __future__ import annotations

import io
import os
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import IO, TYPE_CHECKING, NamedTuple, Self

from committer.sync.pacing import UploadStopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from committer.sync.pacing import Pacer

REPORT_S = 0.5


class Sent(NamedTuple):
    """Bytes of packs: how many of how many are on their way or there. The total shrinks where the hub has some."""

    done: int
    total: int


NOTHING_SENT = Sent(0, 0)


class Meter:
    """Counts what one push sends, over all its threads.

    `tell` is called on whichever thread counted, by one at a time: at most every `REPORT_S`, and when all is done.
    """

    def __init__(self, tell: Callable[[Sent], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._lock = threading.Lock()
        self._sent = NOTHING_SENT
        self._told_at = clock() - REPORT_S

    def expect(self, count: int) -> None:
        """There are so many bytes more to send; a negative number takes some back."""
        with self._lock:
            self._sent = self._sent._replace(total=self._sent.total + count)

    def add(self, count: int) -> None:
        """So many bytes more were sent; a negative number where a pack is begun again."""
        with self._lock:
            self._sent = self._sent._replace(done=self._sent.done + count)
            now = self._clock()
            if self._sent.done == self._sent.total or now - self._told_at >= REPORT_S:
                self._told_at = now
                self._tell(self._sent)


class PackBody(io.FileIO):
    """An open pack as the body of a request; reading a piece waits until it may go, and counts it.

    Raises, from `read`: `UploadStopped` once `stop` is set.
    """

    def __init__(self, pack: IO[bytes], pacer: Pacer, meter: Meter, stop: threading.Event) -> None:
        super().__init__(pack.fileno(), "rb", closefd=False)
        self._pacer = pacer
        self._meter = meter
        self._stop = stop
        self._counted = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """The next piece."""
        piece = super().read(-1 if size is None else size) or b""
        self._pacer.take(len(piece))
        if self._stop.is_set():
            raise UploadStopped
        self._count_up_to(self.tell())
        return piece

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go elsewhere: what is sent again counts once."""
        position = super().seek(offset, whence)
        self._count_up_to(position)
        return position

    def _count_up_to(self, position: int) -> None:
        if position != self._counted:
            self._meter.add(position - self._counted)
            self._counted = position


class Uploads:
    """Puts packs on threads of its own, at most `width` at a time; as soon as one has ended the next may begin.

    Belongs to the thread that made it. On that thread `done` is called with each pack that was put, in any order.
    Leaving the block waits for the uploads under way. The first that fails stops the others at their next piece, and
    its error is raised.
    """

    def __init__(
        self, put: Callable[[bytes, threading.Event], None], done: Callable[[bytes], None], *, width: int
    ) -> None:
        """`put` uploads a pack, or raises; it ends early when the event is set."""
        self._put = put
        self._done = done
        self._width = width
        self._stop = threading.Event()
        self._executor = ThreadPoolExecutor(width, "push")
        self._running: dict[Future[None], bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            while kind is None and self._running:
                self._settle_some()
        finally:
            self._stop.set()
            self._executor.shutdown()
            self._settle(self._running)

    def add(self, pack: bytes) -> None:
        """Begin to upload a pack, once there is room for one more."""
        while len(self._running) >= self._width:
            self._settle_some()
        self._running[self._executor.submit(self._put, pack, self._stop)] = pack

    def _settle_some(self) -> None:
        failures = self._settle(wait(self._running, return_when=FIRST_COMPLETED).done)
        if failures:
            raise failures[0]

    def _settle(self, ended: Iterable[Future[None]]) -> list[BaseException]:
        """Forget uploads that have ended; returns what went wrong with some of them."""
        failures = []
        for future in list(ended):
            pack, error = self._running.pop(future), future.exception()
            if error is None:
                self._done(pack)
            else:
                failures.append(error)
        return failures
