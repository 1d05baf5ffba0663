"""Lists that were driven to a moment ago (`run_plan`): who asks again, or for the next page, need not wait for a plan.

Only drives are remembered. A walk that was the way is found again at once, while before a drive conditions are counted,
and a walk may be tried in vain.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from msgspec import Struct

from hub_server.domain.filters import Filter
from hub_server.store.run_names import Key
from hub_server.store.run_plan import Way

REMEMBERED_S = 60.0
"""For how long. Then a plan is made anew, as runs may have come for which another way is better."""
MOST_REMEMBERED = 500


class Listed(Struct, frozen=True, kw_only=True):
    """A list, with as much of what was asked for as its plan depends on."""

    project_key: int
    filter: Filter | None
    sorted_by: Key | None
    descending: bool
    limit: int


class RecentDrives:
    """The drives of the last minute, the most recent ones where there are many. On any thread."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._ways: OrderedDict[Listed, tuple[float, Way]] = OrderedDict()

    def note(self, listed: Listed, way: Way) -> None:
        """A list was driven to in this way; nothing new where that is remembered."""
        with self._lock:
            if not self._is_fresh(listed):
                self._ways[listed] = self._clock(), way
                self._ways.move_to_end(listed)
            if len(self._ways) > MOST_REMEMBERED:
                self._ways.popitem(last=False)

    def way_of(self, listed: Listed) -> Way | None:
        """How the list was driven to; None where it was not, or too long ago."""
        with self._lock:
            return self._ways[listed][1] if self._is_fresh(listed) else None

    def _is_fresh(self, listed: Listed) -> bool:
        return listed in self._ways and self._clock() - self._ways[listed][0] < REMEMBERED_S
