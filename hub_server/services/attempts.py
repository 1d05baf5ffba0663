"""Slowing down guesses."""

from __future__ import annotations

import math
from collections.abc import Callable

from hub_server.domain.problems import Problem

MAX_TRACKED = 10_000


class AttemptLimit:
    """At most `count` failures per client within `window_s` seconds; memory is bounded. Used on one thread."""

    def __init__(self, count: int, window_s: float, clock: Callable[[], float]) -> None:
        """`clock` counts seconds, and is never set."""
        self._count = count
        self._window_s = window_s
        self._clock = clock
        self._failures: dict[str, list[float]] = {}

    def check(self, client: str) -> None:
        """Refuse a client that has failed too often.

        Raises:
            Problem: rate-limited, with the seconds to wait.
        """
        recent = self._recent(client)
        if len(recent) >= self._count:
            wait_s = math.ceil(recent[0] + self._window_s - self._clock())
            raise Problem(
                "rate-limited",
                f"too many failed attempts; try again in {wait_s} s",
                headers={"Retry-After": str(max(1, wait_s))},
            )

    def failed(self, client: str) -> None:
        """Note a failure."""
        if len(self._failures) >= MAX_TRACKED:
            self._failures.clear()  # an attacker with that many addresses is not slowed down by this anyway
        self._failures[client] = [*self._recent(client), self._clock()]

    def forgive(self, client: str) -> None:
        """Take the last failure back: it was noted before it was known to be none, so that many at once count."""
        noted = self._failures.get(client)
        if noted:
            noted.pop()

    def _recent(self, client: str) -> list[float]:
        since = self._clock() - self._window_s
        return [at for at in self._failures.get(client, []) if at > since]
