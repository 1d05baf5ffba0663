"""The chunks that a file had in the last commit, and what is known about which of them it still has."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from committer.storage.chunking import LOOK_AHEAD
from committer.storage.chunks import Chunk

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from committer.storage.ranges import Range

UNLIMITED = 2**63


class KnownChunks:
    """Chunks to compare a file with, where they begin in it and could end in it as they did.

    A hole counts as the chunks that it was merged from: as many of the largest size as fit, then what is left.
    """

    def __init__(
        self,
        chunks: Sequence[Chunk],
        size: int,
        *,
        largest: int,
        changed: Sequence[Range] | None,
        lost: Container[bytes],
    ) -> None:
        """`size` is that of the file now, `changed` where it may differ; chunks in `lost` are not to be used."""
        self._chunks = chunks
        *self._starts, self._before = accumulate((chunk.size for chunk in chunks), initial=0)
        self._now = size
        self._largest = largest
        self._lost = lost
        self._changed = None if changed is None else _with_tail(changed, self._before, size)
        self._stops = [stop for _, stop in self._changed or ()]

    @property
    def says_what_changed(self) -> bool:
        """Whether some of the file need not be read at all."""
        return self._changed is not None

    def at(self, position: int) -> Chunk | None:
        """The chunk, or the piece of a hole, that began at `position`; None where nothing did or can be taken over."""
        place = bisect_right(self._starts, position) - 1
        chunk, start = self._chunks[place], self._starts[place]
        if chunk.hash is None:
            return self._hole_at(position, start, start + chunk.size)
        if position != start or chunk.hash in self._lost or not self._may_end_at(start + chunk.size):
            return None
        return chunk

    def is_unchanged(self, start: int, stop: int) -> bool:
        """Whether the file is known, without reading it, to hold the same bytes from `start` to before `stop`."""
        return self._changed is not None and self._first_change(start) >= stop

    def is_closed(self, chunk: Chunk, stop: int) -> bool:
        """Whether a chunk of unchanged bytes that ends at `stop` would be cut there, whatever else is different."""
        if chunk.hash is None and chunk.size % self._largest == 0:
            return True
        return stop == self._now or self.is_unchanged(stop, stop + LOOK_AHEAD)

    def _hole_at(self, position: int, start: int, stop: int) -> Chunk | None:
        if position >= stop or (position - start) % self._largest:
            return None
        unchanged = min(stop, self._now, self._first_change(position)) - position
        whole = unchanged // self._largest * self._largest
        if not whole and position + unchanged == stop and self._may_end_at(stop):
            whole = unchanged
        return Chunk(None, whole) if whole else None

    def _may_end_at(self, stop: int) -> bool:
        """The last chunk ended with the file, which is no place for another chunk to end."""
        return stop <= self._now and (stop < self._before or self._before == self._now)

    def _first_change(self, position: int) -> int:
        """Where the file may differ first, from `position` on; beyond every file where that is not known."""
        place = bisect_right(self._stops, position)
        if self._changed is None or place == len(self._changed):
            return UNLIMITED
        return max(position, self._changed[place][0])


def _with_tail(changed: Sequence[Range], before: int, now: int) -> list[tuple[int, int]]:
    """The ranges, and what lies beyond the end of either content."""
    if before == now:
        return list(changed)
    end = min(before, now)
    return [*(one for one in changed if one.start < end), (end, UNLIMITED)]
