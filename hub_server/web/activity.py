"""Which requests are running, so that a hub that stops can let them finish."""

from __future__ import annotations

import asyncio


class Activity:
    """Counts running requests; loop-bound."""

    def __init__(self) -> None:
        self.running: set[object] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def enter(self, request: object) -> None:
        """A request has begun."""
        self.running.add(request)
        self._idle.clear()

    def leave(self, request: object) -> None:
        """A request has ended; idempotent."""
        self.running.discard(request)
        if not self.running:
            self._idle.set()

    async def idle(self) -> None:
        """Wait until no request is running."""
        await self._idle.wait()
