"""A window that moves over a file's content."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from committer.storage.content import Content


class Window:
    """The part of a content that is in memory.

    It moves to another piece of memory when it has to, and never changes what is in the one that it left: `next_memory`
    gives it one that nobody reads any more.
    """

    def __init__(self, content: Content, next_memory: Callable[[], memoryview], *, reads_ahead: bool) -> None:
        """One that `reads_ahead` fills its memory when it has to read, any other reads what it is asked for."""
        self._content = content
        self._next_memory = next_memory
        self._reads_ahead = reads_ahead
        self._memory = memoryview(b"")
        self._start = 0
        self._filled = 0

    def at(self, position: int, least: int) -> memoryview:
        """The bytes from `position` on: as many as there are in memory, `least` or more unless the content ends before.

        `least` is at most the size of the memory.
        """
        wanted = min(least, self._content.size - position)
        if not self._start <= position <= self._start + self._filled or position + wanted > self._end:
            self._move(position)
        if position + wanted > self._start + self._filled:
            self._read(position + wanted)
        return self._memory[position - self._start : self._filled]

    @property
    def _end(self) -> int:
        """The position at which the memory ends."""
        return self._start + len(self._memory)

    def _move(self, position: int) -> None:
        """Have the window start at `position`, with what is known from there on."""
        offset = position - self._start
        kept = self._memory[offset : self._filled] if offset >= 0 else self._memory[:0]
        memory = self._next_memory()
        memory[: len(kept)] = kept
        self._memory, self._start, self._filled = memory, position, len(kept)

    def _read(self, stop: int) -> None:
        if self._reads_ahead:
            stop = self._end
        free = self._memory[self._filled : stop - self._start]
        self._filled += self._content.read_into(free, self._start + self._filled)
