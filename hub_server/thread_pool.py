"""Threads for what would block the event loop, and the end of work that nobody waits for any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_current = threading.local()


class Cancelled(Exception):
    """Nobody waits for the work any more, or the hub stops; it was given up between two of its steps."""


class ThreadPool:
    """A few threads for disk and CPU work; more work waits. Belongs to the event loop."""

    def __init__(self, count: int, name: str = "hub-worker") -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._closing = threading.Event()

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` on a thread. When the caller is cancelled, it ends at its next look (`check_cancelled`).

        Raises:
            Cancelled: the pool is closed.
        """
        cancelled = threading.Event()
        try:
            return await asyncio.wrap_future(self._pool.submit(self._run, work, cancelled))
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def stream(self, pieces: Iterator[T]) -> AsyncIterator[T]:
        """The pieces, each made on a thread when it is asked for."""
        while (piece := await self.run(lambda: next(pieces, None))) is not None:
            yield piece

    def start(self, work: Callable[[], None]) -> None:
        """Run `work`, which cannot fail in a way that anybody waits for, on a thread."""
        self._pool.submit(work)

    def close(self) -> None:
        """End what looks whether it should, leave out what has not begun, and wait for the rest; blocks."""
        self._closing.set()
        self._pool.shutdown()

    def _run(self, work: Callable[[], T], cancelled: threading.Event) -> T:
        _current.is_cancelled = lambda: cancelled.is_set() or self._closing.is_set()
        try:
            check_cancelled()
            return work()
        finally:
            del _current.is_cancelled


def is_cancelled() -> bool:
    """Whether the work that the calling thread does should end; never on a thread that is of no pool."""
    asked: Callable[[], bool] | None = getattr(_current, "is_cancelled", None)
    return asked is not None and asked()


def check_cancelled() -> None:
    """Go on, or not; for work that can take long, between its steps.

    Raises:
        Cancelled: it should end.
    """
    if is_cancelled():
        raise Cancelled
