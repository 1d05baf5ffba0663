"""A file that is written from its start to its end, in whole blocks.

Blocks go past the page cache where the file system can do that (open(2), O_DIRECT). To copy a large file there first
can cost more than all else that is done with it, and pushes other files out of memory. Where it cannot be done, the
same bytes take the usual way.
"""

from __future__ import annotations

import errno
import mmap
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BLOCK = 2**20
"""Bytes that are written at once: a multiple of every disk's sector, as O_DIRECT demands of places and sizes."""

_DIRECT = getattr(os, "O_DIRECT", 0)
_CANNOT = frozenset({errno.EINVAL, errno.EOPNOTSUPP})


class GrowingFile:
    """A new file. Not thread-safe; end its life with `close`."""

    def __init__(self, path: Path, on_block: Callable[[memoryview], object]) -> None:
        """Make the file at `path`; `on_block` is given every part of it, in order, just before it is written for good.

        Raises:
            OSError: it exists, or cannot be made.
        """
        self._on_block = on_block
        self._memory = memoryview(mmap.mmap(-1, BLOCK))  # begins at a page, as O_DIRECT demands of memory
        self._filled = 0
        self._start = 0
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._direct = _open_direct(path)

    def append(self, data: bytes | memoryview) -> None:
        """Add bytes at the end.

        Raises:
            OSError: the disk does not take a block; the file can only be closed then.
        """
        end = self._filled + len(data)
        if end < BLOCK:
            self._memory[self._filled : end] = data
            self._filled = end
        else:
            self._append_blocks(memoryview(data))

    def _append_blocks(self, left: memoryview) -> None:
        while len(left) >= BLOCK - self._filled:
            taken = BLOCK - self._filled
            self._memory[self._filled :] = left[:taken]
            left = left[taken:]
            self._write_block()
        self._memory[self._filled : self._filled + len(left)] = left
        self._filled += len(left)

    def readable(self) -> int:
        """A descriptor with which all that has been appended can be read (pread(2)).

        Raises:
            OSError: the disk does not take the last part.
        """
        _write(self._descriptor, self._memory[: self._filled], self._start)
        return self._descriptor

    def finish(self) -> int:
        """Write what is left; the descriptor, to sync it.

        Raises:
            OSError: the disk does not take it.
        """
        self._on_block(self._memory[: self._filled])
        return self.readable()

    def close(self) -> None:
        """Let go of the file, whatever of it has been written. Safe to call again."""
        for descriptor in (self._descriptor, self._direct):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._direct = -1

    def _write_block(self) -> None:
        self._on_block(self._memory)
        if not self._written_directly():
            _write(self._descriptor, self._memory, self._start)
        self._start += BLOCK
        self._filled = 0

    def _written_directly(self) -> bool:
        if self._direct < 0:
            return False
        try:
            return os.pwrite(self._direct, self._memory, self._start) == BLOCK
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
        os.close(self._direct)
        self._direct = -1
        return False


def _open_direct(path: Path) -> int:
    """Another descriptor of the file, for whole blocks; -1 where the system or the file system has none."""
    if not _DIRECT:
        return -1
    try:
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC | _DIRECT)
    except OSError as error:
        if error.errno in _CANNOT:
            return -1
        raise


def _write(descriptor: int, data: memoryview, position: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, position)
        data, position = data[written:], position + written
