"""The loop that reports runs which are going on: when to look, and how long to pause."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import Executor

from committer.log import get_logger
from dotscience.errors import DotscienceError, RateLimited

log = get_logger(__name__)

EVERY_S = 1.0
IDLE_S = 60.0
FIRST_PAUSE_S = 0.5


class LiveLoop:
    """Reports once a second while there are runs to report; otherwise it waits to be woken. Belongs to the event loop.

    Args:
        attempt: One round, on `executor`; whether there are runs to look after. Raises what went wrong.
    """

    def __init__(self, attempt: Callable[[], bool], *, executor: Executor, retry_max_s: float) -> None:
        self._attempt = attempt
        self._executor = executor
        self._retry_max_s = retry_max_s
        self._wake = asyncio.Event()
        self._failures = 0

    @property
    def is_failing(self) -> bool:
        """Whether the last attempt failed."""
        return self._failures > 0

    def wake(self, *, at_once: bool = False) -> None:
        """Say that there may be something to report; `at_once` also ends a pause after a failure."""
        if at_once:
            self._failures = 0
        if self._failures == 0:
            self._wake.set()

    async def run(self) -> None:
        """Loop until cancelled."""
        while True:
            pause_s = await self._try()
            await asyncio.sleep(min(pause_s, EVERY_S))
            try:
                async with asyncio.timeout(pause_s - EVERY_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _try(self) -> float:
        """Make one attempt; returns how long to pause before the next."""
        self._wake.clear()
        try:
            has_runs = await asyncio.get_running_loop().run_in_executor(self._executor, self._attempt)
        except DotscienceError as error:
            return self._failed(error)
        self._failures = 0
        return EVERY_S if has_runs else IDLE_S

    def _failed(self, error: DotscienceError) -> float:
        """What is not reported stays in its file; what is wrong with the hub, whoever pushes shows."""
        self._failures += 1
        bound = min(self._retry_max_s, FIRST_PAUSE_S * 2.0 ** min(self._failures, 16))
        pause_s = max(bound * random.uniform(0.5, 1.0), error.retry_after_s if isinstance(error, RateLimited) else 0.0)
        log.warning("points.not_sent", error=str(error), retry_in_s=round(pause_s, 1))
        return pause_s
