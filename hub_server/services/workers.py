"""Threads for work that would block the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Workers:
    """A small pool of threads for disk and CPU work; more work waits."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="hub-worker")

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` on a worker thread. Cancelling the caller does not stop it."""
        return await asyncio.wrap_future(self._pool.submit(work))

    def start(self, work: Callable[[], None]) -> None:
        """Run `work`, which cannot fail in a way that anybody waits for, on a worker thread."""
        self._pool.submit(work)

    def close(self) -> None:
        """Wait for what is running; blocks."""
        self._pool.shutdown()
