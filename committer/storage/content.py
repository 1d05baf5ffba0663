"""Reading an open file: its bytes, and where it has none."""

from __future__ import annotations

import errno
import os


class Content:
    """An open file, or a part of it, up to a size that was asked for, or to where it turned out to end before.

    Positions count from where the part starts.

    Bytes are read with preadv(2): a process that mapped a file that shrinks would be killed (mmap(2), SIGBUS). Holes
    are asked for with lseek(2), so the descriptor's own position moves.
    """

    def __init__(self, descriptor: int, size: int, start: int = 0) -> None:
        self._descriptor = descriptor
        self._start = start
        self.size = size
        self._data = range(0)

    def read(self) -> bytes:
        """All of it, for files that fit in memory."""
        data = os.pread(self._descriptor, self.size, self._start)
        while len(data) < self.size:
            more = os.pread(self._descriptor, self.size - len(data), self._start + len(data))
            if not more:
                self.size = len(data)
            data += more
        return data

    def read_into(self, buffer: memoryview, position: int) -> int:
        """Fill `buffer` with the bytes from `position` on; how many that were, fewer only at the end."""
        filled = 0
        wanted = min(len(buffer), self.size - position)
        while filled < wanted:
            count = os.preadv(self._descriptor, [buffer[filled:wanted]], self._start + position + filled)
            if count == 0:
                self.size = position + filled
                break
            filled += count
        return filled

    def zeros_at(self, position: int) -> int:
        """How many bytes from `position` on are zero because the file has a hole there; there may be more zeros."""
        if position in self._data:
            return 0
        start = self._seek(position, os.SEEK_DATA)
        if start > position:
            return start - position
        self._data = range(position, self._seek(position, os.SEEK_HOLE))
        return 0

    def _seek(self, position: int, whence: int) -> int:
        """Where data or a hole is next. A file system that cannot say that has data only."""
        try:
            return min(self.size, os.lseek(self._descriptor, self._start + position, whence) - self._start)
        except OSError as error:
            if error.errno != errno.ENXIO:
                return position if whence == os.SEEK_DATA else self.size
        # Nothing but a hole up to the end, which is elsewhere by now if the file was cut off meanwhile.
        self.size = max(position, min(self.size, os.fstat(self._descriptor).st_size - self._start))
        return self.size
