"""How fast one caller may ask: a bucket that fills at a steady rate, and from which every request takes one."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

from hub_server.domain.problems import Problem

MAX_TRACKED = 10_000


class RateLimit:
    """`per_minute` requests in the long run, a sixth of that at once; memory is bounded. Used on one thread.

    Callers beyond the 10,000 that asked last are forgotten, and begin with a full bucket again.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        """`clock` counts seconds and never goes back."""
        self._rate = per_minute / 60
        self._burst = max(1.0, per_minute / 6)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, cost: float = 1.0) -> None:
        """Count a request, as more or less than one.

        Raises:
            Problem: rate-limited, with the seconds to wait.
        """
        if not self._rate:
            return
        now = self._clock()
        left, at = self._buckets.pop(caller, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        enough = left >= cost
        self._buckets[caller] = (left - cost if enough else left, now)
        if len(self._buckets) > MAX_TRACKED:
            self._buckets.popitem(last=False)
        if not enough:
            wait_s = math.ceil((cost - left) / self._rate)
            raise Problem(
                "rate-limited",
                f"more than {round(self._rate * 60)} requests a minute; go on in {wait_s} s",
                headers={"Retry-After": str(wait_s)},
            )
