"""How long ago something was that has a time of the clock, which anybody may set meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class Ages:
    """Counts seconds since moments. Used on one thread.

    The clock is believed when a moment is asked about first; from then on the seconds of the process count, so that
    nothing is over, or lasts for a day, because the clock was set. A moment that is yet to come is now.
    """

    def __init__(
        self, *, clock: Callable[[], datetime] = utc_now, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._began: dict[tuple[str, datetime], float] = {}

    def of(self, name: str, at: datetime) -> float:
        """How many seconds ago the moment `at` of the thing `name` was."""
        now = self._monotonic()
        if (name, at) not in self._began:
            self._began[name, at] = now - max(0.0, (self._clock() - at).total_seconds())
        return now - self._began[name, at]

    def keep(self, moments: Collection[tuple[str, datetime]]) -> None:
        """Forget all but these moments."""
        self._began = {moment: began for moment, began in self._began.items() if moment in moments}
