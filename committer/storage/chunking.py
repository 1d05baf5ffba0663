"""Cutting a file into chunks where its content says so, in bounded memory.

Boundaries depend on the bytes around them only (FastCDC, Xia et al., IEEE TPDS 2020), so an insertion changes the
chunks it touches and no others. The parameters are part of the format: with others, equal files would get different
names.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

# The compiled module by name: the package falls back to Python that is 200 times slower, silently but for a warning.
from pyfastcdc.cy import FastCDC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LARGE_FILE = 64 * 2**20
SMALL_AVERAGE = 64 * 2**10
LARGE_AVERAGE = 2**20
WINDOW = 4
"""How many chunks of the largest size are in memory at once."""


class Piece(NamedTuple):
    """A chunk of a file; `data` is valid until the next piece is asked for."""

    data: memoryview
    is_whole: bool
    """Whether the file consists of this piece only."""


class Chunker:
    """Cuts files whose size is in one range; not to be shared between threads."""

    def __init__(self, average: int) -> None:
        self._cutter = FastCDC(average, normalized_chunking=1, seed=0)
        self._max = self._cutter.max_size
        self._buffer = bytearray(WINDOW * self._max)

    def cut(self, read: Callable[[memoryview], int]) -> Iterator[Piece]:
        """The pieces of what `read` delivers, in order; at least one, also of nothing.

        `read` fills the buffer it is given and returns how many bytes it wrote; fewer than asked only at the end.
        """
        first, kept, ended = True, 0, False
        while not ended:
            window = memoryview(self._buffer)
            filled = kept + read(window[kept:])
            ended = filled < len(window)
            done = 0
            for end in self._cuts(window[:filled], ended=ended):
                yield Piece(window[done:end], first and ended and end == filled)
                first, done = False, end
            kept = filled - done
            self._buffer[:kept] = self._buffer[done:filled]
        if first:
            yield Piece(memoryview(b""), is_whole=True)

    def _cuts(self, window: memoryview, *, ended: bool) -> Iterator[int]:
        """Where pieces end. Only those that more bytes after the window could not move, unless nothing follows it."""
        for chunk in self._cutter.cut_buf(window):
            if not ended and chunk.offset + self._max > len(window):
                return
            yield chunk.offset + chunk.length


def average_for(size: int) -> int:
    """The average chunk of a file of `size` bytes: small where files are edited, large where lists would grow long."""
    return SMALL_AVERAGE if size < LARGE_FILE else LARGE_AVERAGE


class Content:
    """Reads an open file up to `size`, with pread(2): one that mapped a file that shrinks would be killed (mmap(2))."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self.position = 0

    def read_into(self, buffer: memoryview) -> int:
        """Fill `buffer` from the file and return how many bytes that were; fewer only at the end."""
        filled = 0
        wanted = min(len(buffer), self._size - self.position)
        while filled < wanted:
            count = os.preadv(self._descriptor, [buffer[filled:wanted]], self.position)
            if count == 0:
                break
            filled += count
            self.position += count
        return filled
