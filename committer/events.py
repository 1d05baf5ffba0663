"""The event feed: every subscriber gets every change, or is told that it missed some."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

QUEUE_LIMIT = 256
RESYNC: dict[str, Any] = {"type": "resync"}


class Subscription:
    """One reader's queue of events; a reader that falls behind by `QUEUE_LIMIT` loses them all and gets a resync."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    def offer(self, event: dict[str, Any] | None) -> None:
        """Queue an event; None ends the feed. Never blocks."""
        if self._queue.qsize() >= QUEUE_LIMIT:
            while not self._queue.empty():
                self._queue.get_nowait()
            self._queue.put_nowait(RESYNC)
        self._queue.put_nowait(event)

    async def next(self, timeout_s: float) -> dict[str, Any] | None:
        """The next event, or None when the feed has ended.

        Raises:
            TimeoutError: nothing happened for `timeout_s`.
        """
        async with asyncio.timeout(timeout_s):
            return await self._queue.get()


class EventFeed:
    """Publishes events to all present subscribers, in order. Belongs to the event loop."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    @contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        """A subscription that gets everything that is published while the block runs."""
        subscription = Subscription()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def publish(self, event: dict[str, Any]) -> None:
        """Hand an event to every subscriber; never blocks."""
        for subscription in self._subscriptions:
            subscription.offer(event)

    def close(self) -> None:
        """Tell every subscriber that no more will come."""
        for subscription in self._subscriptions:
            subscription.offer(None)
