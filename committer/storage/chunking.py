"""Where a file is cut into chunks.

Boundaries depend on the bytes around them only (FastCDC, Xia et al., IEEE TPDS 2020), so an insertion changes the
chunks it touches and no others. The parameters are part of the format: with others, equal files would get different
names.

A chunk's end is a function of three things: the bytes of the chunk; the byte after it, which the cutter has in its
hash when it decides, unless the chunk has the largest size; and, at less than two bytes from the end of the file, how
many follow, because the cutter takes bytes two by two. Whoever takes over an end without cutting has to know all
three.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

# The compiled module by name: the package falls back to Python that is 200 times slower, silently but for a warning.
from pyfastcdc.cy import FastCDC

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE_FILE = 64 * 2**20
SMALL_AVERAGE = 64 * 2**10
LARGE_AVERAGE = 2**20
SMALLEST = SMALL_AVERAGE // 4
"""Bytes up to which no file is cut."""
LARGEST = LARGE_AVERAGE * 4
"""Bytes that no chunk exceeds."""
LOOK_AHEAD = 2
"""The bytes after a chunk that decide about its end."""


def average_for(size: int) -> int:
    """The average chunk of a file of `size` bytes: small where files are edited, large where lists would grow long."""
    return SMALL_AVERAGE if size < LARGE_FILE else LARGE_AVERAGE


class Cutter:
    """Cuts files whose size is in one range; not to be shared between threads.

    Zeros alone never make an end, so a run of them is cut into chunks of the largest size.
    """

    def __init__(self, average: int) -> None:
        self._fastcdc = FastCDC(average, normalized_chunking=1, seed=0)
        self.largest: int = self._fastcdc.max_size

    def cuts(self, window: memoryview, *, final: bool) -> Iterator[int]:
        """The ends of the chunks in `window`, which begins where a chunk does.

        Where the content goes on after the window (it is not `final`), these are only the ends that more bytes cannot
        move: there is at least one in a window of the largest size.
        """
        for chunk in self._fastcdc.cut_buf(window):
            end = chunk.offset + chunk.length
            if end == len(window) and not final and chunk.length < self.largest:
                return
            yield end
