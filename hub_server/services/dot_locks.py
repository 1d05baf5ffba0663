"""Who is writing to a dot: one at a time, and the others are told who it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from msgspec import Struct

from hub_server.domain.problems import Problem

WAIT_S = 30.0
"""How long a writer waits for its turn before it is told to come back."""


class Holder(Struct, frozen=True):
    """What holds a dot's lock, in words for people, and since when."""

    what: str
    since: datetime


class _Lock:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.holder: Holder | None = None
        self.held_at = 0.0
        self.users = 0


class DotLocks:
    """The locks of all dots, by their ids; in the order of asking. Belongs to the event loop.

    They keep the hub's own writers apart. Committers need none: a branch only ever moves from where they expect it.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wait_s: float = WAIT_S,
    ) -> None:
        """`clock` is for people to read, `monotonic` for how long a lock has been held."""
        self._clock = clock
        self._monotonic = monotonic
        self.wait_s = wait_s
        self._locks: dict[str, _Lock] = {}

    @asynccontextmanager
    async def hold(self, dot_id: str, what: str) -> AsyncIterator[None]:
        """Hold a dot's lock, as `what` ("alice's upload of model.pkl").

        Raises:
            Problem: locked, when it was somebody else's all the time that one waits; `holder` says whose.
        """
        lock = self._locks.setdefault(dot_id, _Lock())
        lock.users += 1
        try:
            await self._acquire(lock)
            try:
                lock.holder, lock.held_at = Holder(what, self._clock()), self._monotonic()
                yield
            finally:
                lock.holder = None
                lock.lock.release()
        finally:
            lock.users -= 1
            if not lock.users:
                del self._locks[dot_id]

    def check(self, dot_id: str) -> None:
        """Refuse at once what would wait in vain.

        Raises:
            Problem: locked, by what has held the lock for longer than a writer waits.
        """
        lock = self._locks.get(dot_id)
        if lock is not None and lock.holder is not None and self._monotonic() - lock.held_at > self.wait_s:
            raise locked(lock.holder)

    async def _acquire(self, lock: _Lock) -> None:
        try:
            async with asyncio.timeout(self.wait_s):
                await lock.lock.acquire()
        except TimeoutError:
            raise locked(lock.holder) from None


def locked(holder: Holder | None) -> Problem:
    """The answer to whoever did not get its turn."""
    what = holder.what if holder else "another writer"
    since = f" since {holder.since:%Y-%m-%d %H:%M:%S} UTC" if holder else ""
    return Problem(
        "locked",
        f"the workspace is locked by {what}{since}; wait until that has ended, and try again",
        extra={"holder": what},
        headers={"Retry-After": "10"},
    )
