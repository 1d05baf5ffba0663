"""What one question may take: whoever may push may also push what is expensive to read."""

from __future__ import annotations

import time

from committer.storage.reader import Reader
from hub_server.domain.problems import Problem
from hub_server.thread_pool import check_cancelled

LOOKUP_BYTES = 128 * 2**20
LOOKUP_S = 10.0
"""What the folders on the way to one path may take, in bytes and seconds; a folder of a million files has 50 MB."""


class BudgetSpent(Problem):
    """The answer would take more reading than one question may."""

    def __init__(self) -> None:
        super().__init__("too-expensive", "the folders on the way have too many entries to be read for one question")


class ReadBudget:
    """Entries to look at, bytes of folders to read, and seconds from now on. For one thread."""

    def __init__(self, *, entries: int, size: int, seconds: float) -> None:
        self._entries = entries
        self._size = size
        self._until = time.monotonic() + seconds

    def spend(self, *, entries: int = 0, size: int = 0) -> None:
        """Use some of it.

        Raises:
            BudgetSpent: that was too much.
            Cancelled: nobody waits for what the calling thread does.
        """
        check_cancelled()
        self._entries -= entries
        self._size -= size
        if min(self._entries, self._size) < 0 or time.monotonic() > self._until:
            raise BudgetSpent


class BudgetedReader:
    """A `committer.storage.reader.Reader` whose reads are taken from a budget. Blocks; not for the event loop."""

    def __init__(self, source: Reader, budget: ReadBudget) -> None:
        self._source = source
        self._budget = budget

    def get(self, name: bytes, /) -> bytes:
        """The object of this hash, verified.

        Raises:
            MissingObject, CorruptObject, Cancelled: as from the source.
            BudgetSpent: the budget does not allow for it.
        """
        data = self._source.get(name)
        self._budget.spend(size=len(data))
        return data


def lookup_reader(source: Reader) -> BudgetedReader:
    """A reader for one look-up by a path, from now on."""
    return BudgetedReader(source, ReadBudget(entries=0, size=LOOKUP_BYTES, seconds=LOOKUP_S))
